"""Values between Python and a page as one run of bytes: a JSON head, then the bytes of arrays and files, each on a multiple of 8.

    frame = head size (u32, little endian) | head (JSON, UTF-8) | padding | blobs

JSON alone would lose NaN, infinities, -0, integers beyond 2**53 and every dtype, so such values are objects with a tag under "$":

    {"$": "float", "v": "NaN"}     {"$": "int", "v": "9007199254740993"}     {"$": "map", "v": [[key, value], ...]}
    {"$": "bytes", "at": 0, "size": 3}     {"$": "tensor", "dtype": "f32", "shape": [2, 3], "at": 0, "size": 24}
    {"$": "tensor", "dtype": "string", "shape": [2], "values": ["a", null]}

`page/frame.js` is the other end.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ...sdk.core.errors import EngineError
from ...sdk.core.signature import NUMPY, Array, dtype_of

_EXACT = 2**53
_ALIGN = 8


def pack(value: Any) -> bytes:
    """`value` as a frame: None, bool, int, float, str, bytes, arrays of signature dtypes, and lists and mappings of these.

    Raises TypeError for anything else: what users send is made fit before (`outgoing.py`).
    """
    blobs = _Blobs()
    head = json.dumps(_tagged(value, blobs), allow_nan=False, separators=(",", ":")).encode()
    start = len(head).to_bytes(4, "little") + head
    return b"".join([start, b"\0" * (-len(start) % _ALIGN), *blobs.parts])


def unpack(frame: bytes) -> Any:
    """The value of a frame; arrays are writable and own their memory. Raises EngineError for a malformed one."""
    try:
        size = int.from_bytes(frame[:4], "little")
        start = 4 + size
        return _plain(json.loads(frame[4:start]), memoryview(frame)[start + (-start % _ALIGN) :])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise EngineError(f"The page's answer cannot be read: {error!r}", reason="failed") from error


class _Blobs:
    """The bytes behind a head, as they are added."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> dict[str, int]:
        """Where `data` will lie."""
        at = self._size
        padding = -len(data) % _ALIGN
        self.parts += [data, b"\0" * padding]
        self._size += len(data) + padding
        return {"at": at, "size": len(data)}


def _tagged(value: Any, blobs: _Blobs) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else {"$": "int", "v": str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) and (value or math.copysign(1, value) > 0) else {"$": "float", "v": _text(value)}
    if isinstance(value, bytes):
        return {"$": "bytes", **blobs.add(value)}
    if isinstance(value, np.ndarray):
        return _tensor(cast("Array", value), blobs)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {"$": "map", "v": [[str(key), _tagged(item, blobs)] for key, item in pairs]}
    if isinstance(value, Sequence):
        return [_tagged(item, blobs) for item in cast("Sequence[Any]", value)]
    raise TypeError(f"a {type(value).__name__} does not go into a frame")


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else "-0" if value == 0 else "Infinity" if value > 0 else "-Infinity"


def _tensor(array: Array, blobs: _Blobs) -> dict[str, Any]:
    dtype, shape = dtype_of(array), list(array.shape)
    if dtype == "string":
        return {"$": "tensor", "dtype": dtype, "shape": shape, "values": [_tagged(item, blobs) for item in array.ravel().tolist()]}
    return {"$": "tensor", "dtype": dtype, "shape": shape, **blobs.add(array.tobytes())}


def _plain(value: Any, blobs: memoryview) -> Any:
    if isinstance(value, list):
        return [_plain(item, blobs) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    held = cast("dict[str, Any]", value)
    match held["$"]:
        case "float":
            return float(held["v"].lower())
        case "int":
            return int(held["v"])
        case "map":
            return {key: _plain(item, blobs) for key, item in held["v"]}
        case "bytes":
            return bytes(blobs[held["at"] : held["at"] + held["size"]])
        case _:
            return _array(held, blobs)


def _array(held: Mapping[str, Any], blobs: memoryview) -> Array:
    shape = tuple(held["shape"])
    if held["dtype"] == "string":
        array = np.empty(len(held["values"]), object)
        array[:] = [_plain(item, blobs) for item in held["values"]]
        return array.reshape(shape)
    return np.frombuffer(blobs[held["at"] : held["at"] + held["size"]], NUMPY[held["dtype"]]).reshape(shape).copy()
