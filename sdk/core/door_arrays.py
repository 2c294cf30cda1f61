"""Whatever a caller sends for one typed input, as an array in the dtype of the program's rim, or an InputError.

Numbers keep their value: integers that do not fit are refused, floats are rounded to nearest and refused where they
would overflow. Lists are read as JSON.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from .refusal import refusal, shown
from .signature import MISSING_CODE, NUMPY, Array, TensorSpec

_MAX_EXACT = 2**53
_NUMBERS: set[type] = {int, float}
_NESTED: set[type] = {list}
_INTEGERS = {np.dtype(kind): (int(np.iinfo(kind).min), int(np.iinfo(kind).max)) for kind in (np.int8, np.uint8, np.int32)}
_LARGEST = {np.dtype(kind): float(np.finfo(kind).max) for kind in (np.float16, np.float32)}


def to_rim(spec: TensorSpec, value: Any, row: int | None = None) -> Array:
    """`value` in the rim dtype of `spec`; the same object where nothing has to change.

    Args:
        spec: what the signature says.
        value: an array, something with `__array__`, a number, or nested lists.
        row: the row that `value` is, where it is one of a list.

    Raises:
        InputError: wrong type, ragged lists, or a number that the dtype cannot hold.
    """
    rim = NUMPY[spec.rim_dtype]
    array = cast("Array", value) if isinstance(value, np.ndarray) else _from_object(spec, value, row)
    if isinstance(array, np.ma.MaskedArray):
        raise refusal("masked arrays are not accepted", spec.name, row, fix="Fill it: NaN for floats, -1 for categories.")
    if array.dtype.kind in "OUS" or rim.kind == "O":
        array = _from_cells(spec, array.astype(object), row)
    if array.dtype.kind == "b" or rim.kind in "bO":
        return _same_kind(spec, array, rim, row)
    if array.dtype.kind not in "iuf":
        raise refusal("the dtype does not fit", spec.name, row, got=array.dtype, expected=spec.dtype)
    return _narrowed(spec, array, rim, row)


def within(array: Array, low: float, high: float) -> bool:
    """Whether all values lie in [low, high]; a NaN does not.

    The hot path of one row: a single value is read as it is, more by argmin and argmax, half the cost of the reductions on
    small arrays; both find a NaN.
    """
    if array.size == 1:
        return low <= array.item() <= high
    return not array.size or (array.item(array.argmin()) >= low and array.item(array.argmax()) <= high)


def numbers_of(values: list[Any]) -> Array | None:
    """Nested lists of nothing but numbers as float64; None for everything that has to be looked at more closely."""
    if not _only_numbers(values):
        return None
    try:
        return np.array(values, np.float64)
    except (ValueError, OverflowError):  # ragged, or an integer beyond every float: `to_rim` says what is wrong
        return None


def _from_object(spec: TensorSpec, value: Any, row: int | None) -> Array:
    try:
        if hasattr(value, "__array__") and not isinstance(value, np.generic):
            return np.asarray(value)
        if isinstance(value, list) and _only_numbers(cast("list[Any]", value)):
            return np.array(value, np.float64 if NUMPY[spec.rim_dtype].kind == "f" else None)
        cells = np.array(value, dtype=object)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise refusal("the values are not one array", spec.name, row, got=type(value).__name__,
                      expected=f"nested lists of equal lengths, {spec.dtype}") from error  # fmt: skip
    return cells


def _only_numbers(values: list[Any]) -> bool:
    """Whether nested lists hold nothing but int and float: numpy may then read them in one go."""
    kinds = set(map(type, values))
    if kinds != _NESTED:
        return bool(kinds) and kinds <= _NUMBERS
    return _only_numbers(values[0]) if len(values) == 1 else all(map(_only_numbers, values))


def _from_cells(spec: TensorSpec, cells: Array, row: int | None) -> Array:
    """An object array to a plain one: every element looked at, because numpy would turn True into 1 and "1" into text."""
    rim = NUMPY[spec.rim_dtype]
    if rim.kind == "O":
        return _texts(spec, cells, row)
    numbers = [_cell(spec, cell, place, cells, row) for place, cell in enumerate(cells.ravel().tolist())]
    if rim.kind == "b":
        return np.array(numbers, np.bool_).reshape(cells.shape)
    integral = all(isinstance(number, int) for number in numbers)
    if integral and all(-(2**63) <= number < 2**63 for number in numbers):
        return np.array(numbers, np.int64).reshape(cells.shape)
    if rim.kind in "iu":
        _refuse_huge(spec, numbers, cells, row)
    return np.array([_float(spec, number, place, cells, row) for place, number in enumerate(numbers)], np.float64).reshape(cells.shape)


def _cell(spec: TensorSpec, cell: Any, place: int, cells: Array, row: int | None) -> Any:
    rim = NUMPY[spec.rim_dtype]
    if isinstance(cell, bool | np.bool_) and rim.kind == "b":
        return bool(cell)
    if cell is None and rim.kind == "f":
        return np.nan
    if cell is None and rim.kind == "i" and spec.categories is not None:
        return MISSING_CODE
    if rim.kind != "b" and isinstance(cell, int | np.integer) and not isinstance(cell, bool):
        return int(cell)
    if rim.kind != "b" and isinstance(cell, float | np.floating):
        return float(cell)
    what = "this is missing (null)" if cell is None else "the value has the wrong type"
    if isinstance(cell, str) and spec.categories is not None:
        what = "this is not the code of a category"
    raise refusal(what, spec.name, _row(spec, cells.shape, place, row), got=shown(cell), expected=_expected(spec))


def _expected(spec: TensorSpec) -> str:
    return spec.dtype if spec.categories is None else f"0 to {len(spec.categories) - 1}, for {', '.join(spec.categories[:10])}"


def _texts(spec: TensorSpec, cells: Array, row: int | None) -> Array:
    for place, cell in enumerate(cells.ravel().tolist()):
        if not isinstance(cell, str) and not (cell is None and spec.missing):
            raise refusal("this is not text", spec.name, _row(spec, cells.shape, place, row), got=shown(cell))
    return cells


def _float(spec: TensorSpec, number: Any, place: int, cells: Array, row: int | None) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise refusal("the number is too large", spec.name, _row(spec, cells.shape, place, row), expected=spec.dtype) from error


def _refuse_huge(spec: TensorSpec, numbers: list[Any], cells: Array, row: int | None) -> None:
    for place, number in enumerate(numbers):
        if isinstance(number, int) and not -(2**63) <= number < 2**63:
            raise refusal("the number does not fit", spec.name, _row(spec, cells.shape, place, row), got=shown(number), expected=spec.dtype)


def _same_kind(spec: TensorSpec, array: Array, rim: np.dtype[Any], row: int | None) -> Array:
    if array.dtype.kind != rim.kind:
        raise refusal("the dtype does not fit", spec.name, row, got=array.dtype, expected=spec.dtype)
    return array.astype(rim, copy=False)


def _narrowed(spec: TensorSpec, array: Array, rim: np.dtype[Any], row: int | None) -> Array:
    if rim.kind == "f":
        return _narrowed_float(spec, array, rim, row)
    if array.dtype.kind == "f":
        array = _integral(spec, array, row)
    if array.dtype != rim:
        low, high = _INTEGERS[rim]
        if not within(array.ravel(), low, high):
            _refuse(spec, array, (array < low) | (array > high), row, f"{low} to {high}")
    return array.astype(rim, copy=False)


def _integral(spec: TensorSpec, array: Array, row: int | None) -> Array:
    if spec.categories is not None and spec.rim_dtype != "u8":
        array = np.where(np.isnan(array), MISSING_CODE, array)
    wrong = ~(np.abs(array) <= _MAX_EXACT) | (array != np.floor(array))
    if wrong.any():
        _refuse(spec, array, wrong, row, "a whole number")
    return array.astype(np.int64)


def _narrowed_float(spec: TensorSpec, array: Array, rim: np.dtype[Any], row: int | None) -> Array:
    limit = NUMPY[spec.dtype] if spec.dtype == "f16" else rim
    if array.dtype.itemsize > limit.itemsize or array.dtype.kind in "iu":
        if within(array.ravel(), -_LARGEST[limit], _LARGEST[limit]):
            return array.astype(rim)
        with np.errstate(over="ignore"):
            lost = np.isinf(array.astype(limit)) & ~np.isinf(array)
        if lost.any():
            _refuse(spec, array, lost, row, f"at most {np.finfo(limit).max:g} in size ({spec.dtype})")
    return array.astype(rim, copy=False)


def _refuse(spec: TensorSpec, array: Array, wrong: Array, row: int | None, expected: str) -> None:
    place = int(np.flatnonzero(wrong.ravel())[0])
    got = shown(array.ravel()[place].item())
    raise refusal("the number does not fit", spec.name, _row(spec, array.shape, place, row), got=got, expected=expected)


def _row(spec: TensorSpec, shape: tuple[int, ...], place: int, row: int | None) -> int | None:
    """Row of a flat position: along the batch axis where the rank fits, else unknown."""
    if row is not None:
        return row
    axis = spec.batch_axis
    if axis is None or len(shape) != len(spec.shape) or not shape:
        return None
    return int(np.unravel_index(place, shape)[axis])
