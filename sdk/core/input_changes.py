"""Changes of inputs that expectations declare: values in, values out, for arrays and for lists of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from .errors import InputError
from .expectations import Direction, Expectation, Invariance, Perturbation
from .signature import Array

_SEED = 0


def changed(expectation: Expectation, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs by wire field, rows in the same order, with the change of this expectation.

    Raises InputError for a field that is not there, and for a change that the field cannot have.
    """
    if isinstance(expectation, Perturbation):
        names = expectation.fields or [name for name, held in inputs.items() if _noisy(held)]
        if not names:
            raise InputError("No field is a number or a picture of numbers, so none can get noise", got=", ".join(inputs),
                             fix="Name fields=, or pass Invariance(change=function).")  # fmt: skip
        random = np.random.default_rng(expectation.seed)
        return {**inputs, **{name: _noise(_field(inputs, name), expectation.size, random, name) for name in names}}
    if isinstance(expectation, Direction):
        name = expectation.field
        return {**inputs, name: _arithmetic(_field(inputs, name), lambda x: x + expectation.by, name)}
    return _invariant(expectation, inputs)


def touched(before: Mapping[str, Any], after: Mapping[str, Any], rows: int) -> Array:
    """(rows,) bool: some field of the row is another one; NaN is NaN."""
    found = np.zeros(rows, bool)
    for name in before:
        one, two = before[name], after[name]
        if one is not two:
            found |= np.array([not _same(one[row], two[row]) for row in range(rows)])
    return found


def _invariant(expectation: Invariance, inputs: Mapping[str, Any]) -> dict[str, Any]:
    operation, value = expectation.operation
    if operation == "change":
        return _by_function(value, inputs)
    name = cast("str", expectation.field)
    held = _field(inputs, name)
    if operation in ("add", "scale"):
        return {**inputs, name: _arithmetic(held, (lambda x: x + value) if operation == "add" else (lambda x: x * value), name)}
    if operation == "noise":
        return {**inputs, name: _noise(held, value, np.random.default_rng(_SEED), name)}
    if operation == "flip":
        return {**inputs, name: _flipped(held, value, name)}
    pairs = dict(value) if operation == "replace" else {value[0]: value[1], value[1]: value[0]}
    return {**inputs, name: _replaced(held, pairs)}


def _by_function(change: Callable[[Mapping[str, Any]], Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    made = change({name: held.copy() if isinstance(held, np.ndarray | list) else held for name, held in inputs.items()})
    if not isinstance(made, Mapping) or set(cast("Mapping[str, Any]", made)) != set(inputs):
        raise InputError("The function of an invariance did not return the inputs, changed", got=repr(made)[:80],
                         expected=f"a mapping with {', '.join(inputs)}")  # fmt: skip
    found = dict(cast("Mapping[str, Any]", made))
    for name, held in found.items():
        if len(held) != len(inputs[name]):
            raise InputError("The function of an invariance changed the number of rows", field=name, got=len(held),
                             expected=len(inputs[name]))  # fmt: skip
    return found


def _field(inputs: Mapping[str, Any], name: str) -> Any:
    if name not in inputs:
        raise InputError("An expectation names a field that the data do not have", got=name, expected=", ".join(inputs))
    return inputs[name]


def _noisy(held: Any) -> bool:
    """Real numbers, or pictures: bytes of at least two axes beside the rows."""
    if isinstance(held, list):
        rows = cast("list[Any]", held)
        return bool(rows) and all(isinstance(row, np.ndarray) and _noisy(row[None]) for row in rows)
    array = np.asarray(held)
    return array.dtype.kind == "f" or (array.dtype == np.uint8 and array.ndim > 2)


def _noise(held: Any, size: float, random: np.random.Generator, name: str) -> Any:
    return _arithmetic(held, lambda x: x + random.normal(0, size, x.shape), name)


def _arithmetic(held: Any, change: Callable[[Array], Array], name: str) -> Any:
    """`change` of the numbers as float64, back in their dtype: integers rounded and kept in the dtype's range."""
    if isinstance(held, list) and any(isinstance(row, np.ndarray) for row in cast("list[Any]", held)):
        return [_arithmetic(row, change, name) for row in cast("list[Any]", held)]
    try:
        array = np.asarray(held) if isinstance(held, np.ndarray) else np.asarray(held, np.float64)
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("An expectation changes a field by numbers, and it holds none", field=name,
                         fix="Use replace or swap, or Invariance(change=function).") from error  # fmt: skip
    made = change(numbers)
    if array.dtype.kind in "iu":
        info: Any = np.iinfo(cast("Any", array.dtype))
        made = np.clip(np.rint(made), info.min, info.max)
    return made.astype(array.dtype)


def _flipped(held: Any, axis: int, name: str) -> Any:
    if isinstance(held, list):
        return [_mirror(np.asarray(row), axis, name) for row in cast("list[Any]", held)]
    return _mirror(np.asarray(held), axis + 1, name)


def _mirror(array: Array, axis: int, name: str) -> Array:
    if array.dtype.kind not in "biuf" or axis >= array.ndim:
        raise InputError("An expectation mirrors an axis that the field does not have", field=name, got=f"shape {array.shape}")
    return np.ascontiguousarray(np.flip(array, axis))


def _replaced(held: Any, pairs: Mapping[Any, Any]) -> Any:
    if isinstance(held, list):
        return [pairs.get(row, row) if _plain(row) else row for row in cast("list[Any]", held)]
    array = np.asarray(held)
    made = [pairs.get(row, row) for row in array.ravel().tolist()]
    flat = np.empty(len(made), object)
    flat[:] = made
    if array.dtype.kind in "biuf":
        return flat.astype(array.dtype).reshape(array.shape)
    return (flat.astype(str) if array.dtype.kind == "U" else flat).reshape(array.shape)


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bytes)


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray | np.generic) or isinstance(two, np.ndarray | np.generic):
        first, second = np.asarray(one), np.asarray(two)
        both = first.dtype.kind == second.dtype.kind == "f"
        return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=both))
    return bool(one == two) or (one != one and two != two)
