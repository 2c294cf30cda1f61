"""A server as a teacher: rows posted to the typed route in batches, every answer kept as it came, so that a killed run asks once.

The wire is that of `portside serve`, docs/serving.md: POST {"inputs": {field: batch}} -> {"outputs": {name: batch}, "receipt": ...}.
Nothing is asked but the URL that the user names; redirects and proxies of the environment are not followed.
"""

from __future__ import annotations

import base64
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import numpy as np

from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import EngineError, InputError
from ..sdk.core.signature import Array
from .base import PassContext
from .kept_steps import KeptSteps

ROWS, LARGEST = 64, 8 << 20
"""Rows of a request, and bytes of one beyond which it is made two; servers take 16 MiB unless they say otherwise."""
TIMEOUT_S, WAITS_S = 60.0, (0.5, 2.0)
"""Seconds for an answer, and those waited before each further try."""
MAX_ANSWER = 64 << 20
Columns = dict[str, list[Any]]


def is_address(given: object) -> bool:
    """The address of a server, not a folder or a name."""
    return isinstance(given, str) and given.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Endpoint:
    """One URL. Without a path it is the route of `portside serve`, /predict."""

    url: str

    def __post_init__(self) -> None:
        parts = _parts(self.url)
        if parts is None:
            raise InputError("This is no address of a server", field="teacher", got=self.url.rpartition("@")[2].partition("?")[0],
                             expected="http://HOST:PORT/predict, in ASCII",
                             fix="Where it wants a password, pass a function that asks it.")  # fmt: skip
        if parts.path in ("", "/"):
            object.__setattr__(self, "url", parts._replace(path="/predict").geturl())

    @property
    def said(self) -> str:
        """As a recipe keeps it: without what may stand behind `?`."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()

    def columns(self, data: Data, context: PassContext) -> Columns:
        """Output -> one value per row, of everything that the server answers.

        Raises:
            InputError: it refused the rows; the message is its own.
            EngineError: it cannot be reached, does not answer in time or with JSON of this form, or a fallback answered.
        """
        parts, steps = list[Columns](), KeptSteps.of(context, here=False)
        for batch in data.batches(ROWS):
            context.progress(ROWS * len(parts), len(data), "asking the teacher")
            parts.append(self._kept(Data(batch.inputs), steps))
        return self._joined(parts)

    def _joined(self, parts: Sequence[Columns]) -> Columns:
        """Batches in one. Raises EngineError where they have other outputs."""
        if len({frozenset(part) for part in parts}) > 1:
            raise EngineError("The server does not always answer the same outputs", got=self.said)
        return {name: [row for part in parts for row in part[name]] for name in parts[0]}

    def _kept(self, batch: Data, steps: KeptSteps) -> Columns:
        """The answer to a batch: the one of before, or one that is asked for and kept."""
        key = {"teacher": self.url, "rows": data_digest(batch)}
        held = steps.series("teacher", key).step(lambda: {"json": _text(self._asked(batch))})
        steps.flush()  # an answer may have cost more than time
        return _columns(held["json"].tobytes(), len(batch))

    def _asked(self, batch: Data) -> Columns:
        """A batch's answer; a body that is too large goes in two halves."""
        body = _body(batch)
        if len(body) > LARGEST and len(batch) > 1:
            half = len(batch) // 2
            return self._joined([self._asked(batch.take(range(half))), self._asked(batch.take(range(half, len(batch))))])
        for wait in (*WAITS_S, None):
            try:
                return self._post(body, len(batch))
            except EngineError:
                if wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError  # the last try returns or raises

    def _post(self, body: bytes, rows: int) -> Columns:
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310 - http or https, see `is_address`
        try:
            with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
                return _columns(_read(answer), rows)
        except urllib.error.HTTPError as error:
            raise self._refused(error) from error
        except (ValueError, RecursionError) as error:
            raise EngineError(f"The server answered, but not as a teacher: {error}", got=self.said,
                              expected='{"outputs": {name: one value per row}}',
                              fix="Name its route, as in http://HOST:PORT/predict.") from error  # fmt: skip
        except (OSError, HTTPException) as error:
            late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
            raise EngineError(f"The server cannot be asked: {error}", reason="deadline" if late else "failed", got=self.said,
                              fix="Start it and run the same again; with `resume` its answers so far are kept.") from error  # fmt: skip

    def _refused(self, error: urllib.error.HTTPError) -> InputError | EngineError:
        """What a status says: rows that it will never take, or a server that may be better later."""
        with error:
            said = error.read(2000).decode(errors="replace")
        if 300 <= error.code < 500 and error.code not in (408, 429):
            return InputError(f"The server did not take the rows: {error.code}", field="teacher", got=said[:400] or None,
                              expected="a route that takes all fields of the rows", fix=f"Try one row on {self.said}.")  # fmt: skip
        return EngineError(f"The server answered with {error.code}", got=said[:400], fix="Its log says why.")


def _text(answer: Columns) -> Array:
    return np.frombuffer(json.dumps({"outputs": answer}).encode(), np.uint8)


class _Stay(urllib.request.HTTPRedirectHandler):
    """No other server is asked than the one that was named."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        """A redirect is an answer that is none."""


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


def _parts(url: str) -> SplitResult | None:
    """None for what is no address: without a host, with a user, with a port that is no number."""
    try:
        parts = urlsplit(url)
        known = parts.hostname and parts.username is None and parts.port != 0 and url.isascii()
    except ValueError:
        return None
    return parts if known else None


def _read(answer: HTTPResponse) -> bytes:
    """The body. Raises ValueError for one that is too large."""
    body = answer.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise ValueError(f"more than {MAX_ANSWER >> 20} MB for {ROWS} rows")
    return body


def _columns(body: bytes, rows: int) -> Columns:
    """Outputs of an answer. Raises ValueError for JSON of another form, other rows, and the answer of a fallback."""
    held: Any = json.loads(body)
    outputs: Any = held.get("outputs") if isinstance(held, dict) else None
    if not isinstance(outputs, dict) or not outputs:
        raise ValueError("there are no outputs")
    receipt: Any = held.get("receipt")
    if isinstance(receipt, dict) and (why := cast("Mapping[str, Any]", receipt).get("reason", "primary")) != "primary":
        raise ValueError(f"a fallback answered in place of its first model ({why})")
    found = {str(name): cast("list[Any]", part) for name, part in cast("dict[Any, Any]", outputs).items()
             if isinstance(part, list) and len(cast("list[Any]", part)) == rows}  # fmt: skip
    if not found:
        raise ValueError(f"no output has {rows} rows")
    return found


def _body(batch: Data) -> bytes:
    """Rows as JSON. Raises InputError for values that it has no word for."""
    try:
        return json.dumps({"inputs": {name: _wire(held) for name, held in batch.inputs.items()}}, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"A value of the rows cannot be sent to a server: {error}", field="data",
                         expected="numbers, text, bytes of files, or null") from error  # fmt: skip


def _wire(held: Any) -> Any:
    """A column, or what is in it, as JSON: files in base64, what is no number as null."""
    if isinstance(held, bytes | bytearray | memoryview):
        return base64.b64encode(held).decode()
    if isinstance(held, float | np.floating):
        return float(held) if math.isfinite(held) else None
    if isinstance(held, np.ndarray):
        return _wire(held.tolist())
    if isinstance(held, np.generic):
        return held.item()
    return [_wire(one) for one in cast("list[Any]", held)] if isinstance(held, list | tuple) else held
