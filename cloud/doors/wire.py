"""The wire of a served package with orjson: bodies to wire fields, outputs to JSON. The forms are those of sdk/core/wire.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from ...sdk.core.codec.codec import Codec
from ...sdk.core.signature import Signature
from ...sdk.core.wire import Asked, Form, WireForms, check_entity, check_event_ms

__all__ = ["Asked", "Form", "Wire", "check_entity", "check_event_ms"]


class Wire(WireForms):
    """The wire of one package: which fields there are, and which of them are split by row."""

    def __init__(self, codec: Codec, signature: Signature) -> None:
        super().__init__(codec.wire_fields(signature), signature, orjson.loads, _jsonable)

    def read_json(self, body: bytes | memoryview, bare: bool = False) -> Asked:
        """Parse a JSON body; `bare`: see `WireForms.read`.

        Raises:
            orjson.JSONDecodeError: not JSON.
            InputError: JSON of another form; names the field.
        """
        return self.read(orjson.loads(body), bare)


def _jsonable(array: Any) -> Any:
    """What orjson writes: arrays it knows as they are, others as lists."""
    array = np.asarray(array)
    if array.dtype.kind == "O":
        return array.tolist()
    if array.ndim == 0:
        return array[()]
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)
