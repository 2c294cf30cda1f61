"""Tensors as the Open Inference Protocol v2 writes them: datatypes, JSON data, and the raw bytes of its binary extension.

Reading makes what the champion's codec takes (arrays, or lists of text and bytes); whether the values are allowed is the
codec's and the door's to say, not this file's. Numbers of JSON stay float64, so that the door sees what was sent.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from ...sdk.core.refusal import refusal, shown
from ...sdk.core.signature import NUMPY, Array, DType

Buffer: TypeAlias = bytes | memoryview
DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_), "UINT8": np.dtype(np.uint8), "UINT16": np.dtype(np.uint16), "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64), "INT8": np.dtype(np.int8), "INT16": np.dtype(np.int16), "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64), "FP16": np.dtype(np.float16), "FP32": np.dtype(np.float32), "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}  # fmt: skip
"""Datatype of the protocol -> numpy. BF16 has no numpy dtype and is refused."""
NAMES: dict[np.dtype[Any], str] = {dtype: name for name, dtype in DATATYPES.items()}
_LENGTH = struct.Struct("<I")


def datatype_of(dtype: DType) -> str:
    """The protocol's name of a signature's dtype."""
    return NAMES[NUMPY[dtype]]


def read_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A shape as sent. Raises InputError unless it is a list of whole numbers from 0."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in cast("list[Any]", shape)):
        raise refusal("the shape is a list of whole numbers", name, got=shown(shape), expected="such as [1, 3]")
    return tuple(cast("list[int]", shape))


def read_binary(name: str, datatype: str, shape: tuple[int, ...], body: Buffer, offset: int, size: int) -> Any:
    """The tensor at `offset` of a body, a view of it where its address is aligned. Raises InputError.

    Returns:
        An array of `shape`; nested lists of bytes for BYTES.
    """
    dtype = DATATYPES[datatype]
    if dtype.hasobject:
        return _shaped(name, read_elements(name, memoryview(body)[offset : offset + size]), shape)
    if math.prod(shape) * dtype.itemsize != size:
        raise refusal("the binary data has another size than the shape and the datatype say", name, got=f"{size} bytes",
                      expected=f"{math.prod(shape) * dtype.itemsize} bytes for {datatype} {list(shape)}")  # fmt: skip
    flat: Array = np.frombuffer(body, dtype, math.prod(shape), offset)
    if not flat.flags.aligned:
        flat = flat.copy()
    if dtype.kind == "b" and flat.view(np.uint8).max(initial=0) > 1:
        raise refusal("a BOOL is one byte, 0 or 1", name)
    return _reshaped(name, flat, shape)


def read_elements(name: str, data: memoryview) -> list[bytes]:
    """The elements of a BYTES tensor: each behind its length, four bytes, little-endian. Raises InputError."""
    elements, place = list[bytes](), 0
    while place < len(data):
        start = place + 4
        if start > len(data) or (end := start + _LENGTH.unpack_from(data, place)[0]) > len(data):
            raise refusal("the BYTES data is cut short", name, len(elements), got=f"{len(data)} bytes",
                          expected="each element behind its length, four bytes, little-endian")  # fmt: skip
        elements.append(bytes(data[start:end]))
        place = end
    return elements


def read_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Any:
    """The tensor of a JSON list, flat or nested as its shape. Raises InputError.

    Returns:
        An array of `shape`, float64 for every FP datatype; nested lists of text (or None) for BYTES.
    """
    flat = _flat(name, data, shape)
    dtype, kinds = DATATYPES[datatype], set(map(type, flat))
    allowed = _JSON_KINDS[dtype.kind]
    if not kinds <= allowed:
        place = next(place for place, value in enumerate(flat) if type(value) not in allowed)
        raise refusal(f"this is no {datatype}", name, _row(place, shape), got=shown(flat[place]))
    if dtype.hasobject:
        return _shaped(name, flat, shape)
    return _reshaped(name, _numbers(name, datatype, flat, shape), shape)


def _numbers(name: str, datatype: str, flat: list[Any], shape: tuple[int, ...]) -> Array:
    dtype = DATATYPES[datatype]
    if dtype.kind in "fb":
        return np.array(flat, np.float64 if dtype.kind == "f" else dtype)
    held = np.iinfo(dtype)
    if flat and not (held.min <= min(flat) and max(flat) <= held.max):
        place = next(place for place, value in enumerate(flat) if not held.min <= value <= held.max)
        raise refusal(f"this is no {datatype}", name, _row(place, shape), got=shown(flat[place]), expected=f"{held.min} to {held.max}")
    return np.array(flat, dtype)


def write_binary(array: Array) -> Buffer:
    """The raw bytes of an array: a view of it, or the elements of a BYTES tensor behind their lengths."""
    if not array.dtype.hasobject:
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b""
    elements = [_element(value) for value in array.ravel().tolist()]
    return b"".join(itertools.chain.from_iterable((_LENGTH.pack(len(element)), element) for element in elements))


def write_json(array: Array) -> Any:
    """The flat data of an array, as orjson writes it; a name that is missing is empty text, for the protocol has no null."""
    if array.dtype.hasobject:
        return ["" if value is None else str(value) for value in array.ravel().tolist()]
    return array.ravel()


def _element(value: Any) -> bytes:
    return b"" if value is None else value if isinstance(value, bytes) else str(value).encode()


_JSON_KINDS: dict[str, set[type]] = {
    "f": {int, float, type(None)}, "i": {int}, "u": {int}, "b": {bool}, "O": {str, type(None)},
}  # fmt: skip
"""Kind of a dtype -> the types that JSON's values may have; null is a missing number or text."""


def _flat(name: str, data: Any, shape: tuple[int, ...]) -> list[Any]:
    """The elements of flat or nested lists in row-major order. Raises InputError for another number of them than `shape` says."""
    if not isinstance(data, list):
        raise refusal("data is a list", name, got=shown(data))
    flat = cast("list[Any]", data)
    for depth, size in enumerate(shape):
        if not flat or type(flat[0]) is not list:
            break
        lists = cast("list[list[Any]]", flat)
        inner = shape[depth + 1] if depth + 1 < len(shape) else -1
        if set(map(type, lists)) != {list} or set(map(len, lists)) != {inner} or (depth == 0 and len(lists) != size):
            raise refusal("the nested lists do not have the shape that is said", name, expected=list(shape))
        flat = list(itertools.chain.from_iterable(lists))
    if len(flat) != math.prod(shape):
        raise refusal("the data has another number of elements than the shape says", name, got=len(flat), expected=math.prod(shape))
    return flat


def _row(place: int, shape: tuple[int, ...]) -> int | None:
    """The row of a flat position, along the first axis."""
    return place // max(math.prod(shape[1:]), 1) if shape else None


def _shaped(name: str, elements: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """A flat list as nested lists of `shape`."""
    if math.prod(shape) != len(elements):
        raise refusal("the data has another number of elements than the shape says", name, got=len(elements), expected=math.prod(shape))
    if len(shape) == 1:
        return elements
    cells = np.empty(len(elements), object)
    cells[:] = elements
    return _reshaped(name, cells, shape).tolist()


def _reshaped(name: str, flat: Array, shape: tuple[int, ...]) -> Array:
    try:
        return flat.reshape(shape)
    except ValueError as error:  # more axes, or a longer one, than an array can have
        raise refusal("the shape is not one that an array can have", name, got=shown(str(list(shape)))) from error
