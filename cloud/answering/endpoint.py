"""An endpoint of the chain: another server with the same typed route, asked over HTTP and believed no more than a model.

Its answer is held against the champion's signature: names, dtypes, shapes and rows.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import orjson

from ...sdk.core.door import Door
from ...sdk.core.errors import EngineError, InputError, PortsideError
from ...sdk.core.signature import MISSING_CODE, NUMPY, Array, Signature, TensorSpec

MAX_ANSWER_BYTES = 64 << 20
_HEADERS = {"content-type": "application/json"}


class EndpointEntry:
    """One URL. `ask` raises EngineError for everything that is not an answer."""

    def __init__(self, url: str, signature: Signature, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = url
        self._signature, self._transport = signature, transport
        self._client: httpx.AsyncClient | None = None
        self._door = Door(Signature(tuple(_as_input(spec) for spec in signature.outputs), ()))

    async def ask(self, wire: Mapping[str, Any], until: float | None, rows: int) -> dict[str, Array]:
        """Post the wire inputs, read the outputs by `until` (monotonic seconds)."""
        seconds = None if until is None else until - time.monotonic()
        if seconds is not None and seconds <= 0:
            raise EngineError("No time was left for the endpoint", reason="deadline")
        try:
            body = orjson.dumps({"inputs": dict(wire)}, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
            async with asyncio.timeout(seconds):
                answer = await self._open().post(self.name, content=body, headers=_HEADERS, timeout=None)
        except TimeoutError as error:
            raise EngineError("The endpoint did not answer in time", reason="deadline", got=self.name) from error
        except (httpx.HTTPError, orjson.JSONEncodeError) as error:
            raise EngineError(f"The endpoint cannot be asked: {error}", got=self.name) from error
        if answer.status_code != 200 or len(answer.content) > MAX_ANSWER_BYTES:
            raise EngineError("The endpoint did not answer with 200", got=answer.status_code)
        return self._outputs(answer.content, rows)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _open(self) -> httpx.AsyncClient:
        """The client, made in the loop that uses it; redirects and environment proxies are not followed."""
        if self._client is None:
            self._client = httpx.AsyncClient(transport=self._transport, trust_env=False)
        return self._client

    def _outputs(self, content: bytes, rows: int) -> dict[str, Array]:
        try:
            said = orjson.loads(content)["outputs"]
            coded = {spec.name: _codes(spec, said[spec.name]) for spec in self._signature.outputs}
            arrays = self._door.check(coded).arrays
        except (ValueError, KeyError, TypeError, PortsideError) as error:
            raise EngineError(f"The endpoint's answer does not fit the signature: {error}", got=self.name) from error
        for spec in self._signature.outputs:
            if spec.batch_axis is not None and arrays[spec.name].shape[spec.batch_axis] != rows:
                raise EngineError(f"The endpoint answered {spec.name!r} for another number of rows", expected=rows)
        return {spec.name: arrays[spec.name].astype(NUMPY[spec.dtype], copy=False) for spec in self._signature.outputs}


def _as_input(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.dtype, spec.shape, spec.batch_axis, categories=spec.categories, on_unknown="reject", missing=True)


def _codes(spec: TensorSpec, values: Any) -> Any:
    """Names of categories back to codes."""
    if spec.categories is None:
        return values
    table = {name: code for code, name in enumerate(spec.categories)}
    names = np.asarray(values, dtype=object)
    return np.array([table.get(name, MISSING_CODE) for name in names.reshape(-1)], np.int64).reshape(names.shape)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise InputError("A wire value cannot be sent to an endpoint", got=type(value).__name__)
