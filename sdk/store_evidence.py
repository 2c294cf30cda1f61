"""Evidence sets as bytes: numbers as safetensors, everything else as JSON, nothing pickled.

The head is canonical JSON in which the tensors stand by their sha256, so the sha256 of the head is the digest of the
rows, wherever and whenever they are stored.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from .core.canonical import canonical_json, digest_of_bytes, read_object
from .core.data import Data
from .core.errors import FormatError, InputError, IntegrityError
from .core.signature import Array

TENSORS = "evidence.safetensors"
EVIDENCE_FORMAT = 1
_NUMERIC = "biuf"


def to_blobs(data: Data) -> tuple[bytes, bytes]:
    """(head, tensors) of these rows. Raises InputError, naming the column, for what neither JSON nor safetensors holds."""
    tensors: dict[str, Array] = {}
    columns = {f"in/{name}": values for name, values in data.inputs.items()}
    columns |= {f"slice/{name}": values for name, values in data.slices.items()}
    columns |= {} if data.labels is None else {"labels": data.labels}
    head = {name: _column(name, values, tensors) for name, values in columns.items()}
    packed = save(dict(sorted(tensors.items())))
    described = {"format": EVIDENCE_FORMAT, "rows": len(data), "columns": head, "tensors": digest_of_bytes(packed)}
    return canonical_json(described), packed


def from_blobs(head: bytes, tensors: bytes) -> Data:
    """The rows that `to_blobs` wrote. Raises FormatError, IntegrityError."""
    described = read_object(head, "The head of an evidence set")
    if described.get("format") != EVIDENCE_FORMAT:
        raise FormatError("The evidence set has an unknown format version", got=described.get("format"), expected=EVIDENCE_FORMAT)
    if described.get("tensors") != digest_of_bytes(tensors):
        raise IntegrityError("The tensors of an evidence set are not the ones that its head says", got=digest_of_bytes(tensors))
    try:
        arrays = load(tensors)
        columns = {name: _restored(name, column, arrays) for name, column in described["columns"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise FormatError(f"The evidence set is malformed: {error}") from error
    return Data(_below("in/", columns), columns.get("labels"), _below("slice/", columns))


def _below(prefix: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): values for name, values in columns.items() if name.startswith(prefix)}


def _column(name: str, values: Any, tensors: dict[str, Array]) -> dict[str, Any]:
    if not isinstance(values, list | tuple):
        return _array_column(name, np.asarray(values), tensors)
    rows = list(cast("Sequence[Any]", values))
    if rows and all(isinstance(row, bytes) for row in rows):
        tensors[name] = np.frombuffer(b"".join(rows), np.uint8)
        return {"kind": "bytes", "lengths": [len(row) for row in rows]}
    if rows and all(isinstance(row, np.ndarray) and row.dtype.kind in _NUMERIC for row in rows):
        tensors |= {f"{name}/{index:08d}": np.ascontiguousarray(row) for index, row in enumerate(rows)}
        return {"kind": "arrays", "rows": len(rows)}
    return {"kind": "list", "values": [_plain(name, row, value) for row, value in enumerate(rows)]}


def _array_column(name: str, array: Array, tensors: dict[str, Array]) -> dict[str, Any]:
    if array.dtype.kind in _NUMERIC and array.dtype.itemsize <= 8:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        tensors[name] = np.ascontiguousarray(little).reshape(array.shape)
        return {"kind": "array"}
    if array.dtype.kind in "mM":
        tensors[name] = np.ascontiguousarray(array).view(np.int64)
        return {"kind": "time", "dtype": array.dtype.str}
    if array.dtype.kind in "OUS":
        values = [_plain(name, row, value) for row, value in enumerate(array.reshape(-1).tolist())]
        return {"kind": "objects", "dtype": array.dtype.str, "shape": list(array.shape), "values": values}
    raise InputError("This column cannot be kept as evidence", field=name, got=array.dtype, expected="numbers, text, bytes or times")


def _restored(name: str, column: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
    match column["kind"]:
        case "array":
            return arrays[name]
        case "arrays":
            return [arrays[f"{name}/{index:08d}"] for index in range(column["rows"])]
        case "time":
            return arrays[name].view(np.dtype(column["dtype"]))
        case "bytes":
            ends = np.cumsum([0, *column["lengths"]])
            data = arrays[name].tobytes()
            return [data[start:end] for start, end in pairwise(ends)]
        case "list":
            return [_value(value) for value in column["values"]]
        case "objects":
            return _objects(column)
        case kind:
            raise FormatError("A column of the evidence set has an unknown kind", got=kind)


def _objects(column: Mapping[str, Any]) -> Array:
    dtype = np.dtype(column["dtype"])
    if dtype.kind not in "OUS":
        raise FormatError("A column of the evidence set has an unknown dtype", got=dtype)
    flat = np.empty(len(column["values"]), dtype)
    for row, value in enumerate(column["values"]):
        flat[row] = _value(value)
    return flat.reshape(column["shape"])


def _plain(name: str, row: int, value: Any) -> Any:
    """A scalar as JSON, told apart where JSON could not: {"float": "nan"}, {"bytes": base64}."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError("This value cannot be kept as evidence", field=name, row=row, got=type(value).__name__,
                     expected="numbers, text, bytes, None or arrays")  # fmt: skip


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        held = cast("Mapping[str, str]", value)
        return base64.b64decode(held["bytes"]) if "bytes" in held else float(held["float"])
    return value
