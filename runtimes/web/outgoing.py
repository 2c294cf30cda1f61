"""What users pass, made fit for a frame: arrays of signature dtypes for `run`, wire values for `predict`. The rest is refused here.

Nothing is judged that the page can judge: its door and its codec are what is proven. Only what a page has no value for is
refused (complex numbers, ragged lists, objects), and numpy's other dtypes become those of signatures, by value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.refusal import refusal, shown
from ...sdk.core.signature import MISSING_CODE, NUMPY, Array, Signature, TensorSpec

_KEPT = frozenset(NUMPY.values()) - {np.dtype(np.float16)}
_LARGEST = np.iinfo(np.int64).max


def tensors(inputs: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """The inputs of `run`. Raises InputError, naming the field, for what cannot be sent."""
    specs = {spec.name: spec for spec in signature.inputs}
    return {str(name): _input(str(name), value, specs.get(str(name))) for name, value in inputs.items()}


def wire(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `predict`. Raises as `tensors`."""
    return {str(name): _wire(str(name), value) for name, value in inputs.items()}


def _input(name: str, value: Any, spec: TensorSpec | None) -> Any:
    canvas = spec is not None and spec.canvas is not None
    if canvas and isinstance(value, Sequence) and any(isinstance(image, np.ndarray) for image in cast("Sequence[Any]", value)):
        return [fitted(name, np.asarray(image)) for image in cast("Sequence[Any]", value)]
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        return fitted(name, np.asanyarray(value))
    return fitted(name, _listed(name, value, spec))


def fitted(name: str, array: Array) -> Array:
    """The array in a signature dtype, in native order, with the same values. Raises InputError for other kinds of values."""
    if isinstance(array, np.ma.MaskedArray):
        raise refusal("masked arrays are not accepted", name, fix="Fill it: NaN for floats, -1 for categories.")
    native = array.dtype.newbyteorder("=")
    if native in _KEPT and native.kind != "O":
        return array.astype(native, copy=False)
    match array.dtype.kind:
        case "i" | "u":
            if array.dtype == np.uint64 and array.size and int(array.max()) > _LARGEST:
                raise refusal("an integer is too large", name, got=int(array.max()), expected=f"at most {_LARGEST}")
            return array.astype(np.int64)
        case "f":
            return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
        case "U" | "S":
            return array.astype(np.str_).astype(object)
        case "O" if all(isinstance(cell, str | None) for cell in array.ravel().tolist()):
            return array
        case _:
            raise refusal("the dtype does not fit", name, got=array.dtype, expected="numbers, booleans or text")


def _listed(name: str, value: Any, spec: TensorSpec | None) -> Array:
    """Nested lists, read as JSON: null is NaN for floats and MISSING_CODE for categories."""
    try:
        cells = np.array(value, dtype=object)
        values = cells.ravel().tolist()
        if not any(cell is None for cell in values) or any(isinstance(cell, str) for cell in values):
            return _of_cells(cells, values)
    except (ValueError, TypeError, OverflowError) as error:
        raise refusal("the values are not one array", name, got=type(value).__name__, expected="nested lists of equal lengths") from error
    fill = MISSING_CODE if spec is not None and spec.categories is not None else np.nan
    return _of_cells(cells, [fill if cell is None else cell for cell in values])


def _of_cells(cells: Array, values: list[Any]) -> Array:
    if any(isinstance(cell, bool) for cell in values) and not all(isinstance(cell, bool) for cell in values):
        raise ValueError("booleans are not numbers")
    if any(isinstance(cell, str) for cell in values):
        return cells
    return np.array(values).reshape(cells.shape) if values else np.zeros(cells.shape)


def _wire(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, np.generic):
        return _wire(name, value.item())
    if isinstance(value, np.ndarray):
        return _wire_array(name, cast("Array", value))
    if isinstance(value, Mapping):
        raise refusal("a mapping is no value", name, got=shown(value))
    if hasattr(value, "__array__") or hasattr(value, "to_numpy"):
        return _wire_array(name, np.asarray(value))
    if isinstance(value, Sequence):
        return [_wire(name, item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Path):
        raise InputError("A page reads no files", field=name, got=str(value), fix="Pass the file's bytes: path.read_bytes().")
    raise refusal("the value has the wrong type", name, got=type(value).__name__, expected="text, bytes, numbers, lists or arrays")


def _wire_array(name: str, array: Array) -> Any:
    """Numbers and pixels as a tensor; cells of a table (text, None, mixed) as nested lists."""
    if array.dtype.kind in "OUS":
        return _wire(name, array.tolist())
    return fitted(name, array)
