"""Rows of a request as they pass a graph: which rows a step has answered, which a condition keeps, which are best.

Rows are numbers into the request. A set of rows is a sorted array of them, or None for all.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ...sdk.core.signature import Array
from .references import Comparison, Condition, Reference

Rows: TypeAlias = Array | None
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_OVER: dict[str, Callable[..., Any]] = {"max": np.max, "min": np.min, "mean": np.mean}


@dataclass(frozen=True)
class Answered:
    """What a step has answered.

    Attributes:
        rows: of the request, in the order in which the outputs hold them.
        outputs: by name.
        axes: output -> the axis that counts rows; None where it has none.
    """

    rows: Rows
    outputs: Mapping[str, Array]
    axes: Mapping[str, int | None] = field(default_factory=dict[str, "int | None"])


@dataclass(frozen=True)
class Missing:
    """A step that has no answer. `fault`: it should have had one."""

    why: str
    fault: bool = False


Results: TypeAlias = Mapping[str, Answered | Missing]


def both(one: Rows, other: Rows) -> Rows:
    """Rows that are in both."""
    if one is None or other is None:
        return other if one is None else one
    return np.intersect1d(one, other, assume_unique=True)


def take(array: Any, rows: Rows, axis: int | None) -> Any:
    """The given rows of an array, or of a list of values; a value without rows is given whole."""
    if rows is None or axis is None:
        return array
    if isinstance(array, list) and axis == 0:
        return [array[row] for row in rows.tolist()]
    return np.take(np.asarray(array), rows, axis=axis)


def places(held: Rows, wanted: Rows, total: int) -> Array:
    """Where each of the wanted rows stands in what is held; -1 where it is not."""
    wanted = np.arange(total) if wanted is None else wanted
    if held is None:
        return wanted
    at = np.full(total, -1)
    at[held] = np.arange(len(held))
    return at[wanted]


def number(found: Answered, reference: Reference) -> Array:
    """One value per row of what was answered, or one for all rows where the output has none."""
    value, axis = np.asarray(found.outputs[reference.name]), found.axes[reference.name]
    if axis is not None and axis != 0:
        value = np.moveaxis(value, axis, 0)
    if reference.index is not None:
        value = value[..., reference.index]
    if reference.over is not None:
        flat = value.reshape(value.shape[0], -1) if axis is not None else value.reshape(-1)
        return _OVER[reference.over](flat, axis=-1)
    return value


def kept(condition: Condition, results: Results, total: int) -> Array:
    """Per row of the request whether the condition holds; a row without a value, or with NaN, fulfils none."""
    found: Array | None = None
    for group in condition.any_of:
        held = _compared(group[0], results, total)
        for comparison in group[1:]:
            held &= _compared(comparison, results, total)
        found = held if found is None else found | held
    assert found is not None  # noqa: S101  a condition has a group
    return found


def best(found: Answered, reference: Reference, rows: Rows, total: int, k: int, largest: bool) -> Array:
    """The `k` rows with the largest (smallest) value, best first; equal ones in the order of rows, NaN last."""
    held = both(rows, found.rows)
    candidates = np.arange(total) if held is None else held
    values = number(found, reference)
    values = np.broadcast_to(values, len(candidates)) if not np.ndim(values) else values[places(found.rows, candidates, total)]
    ranked = values.astype(np.float64)
    return candidates[np.argsort(-ranked if largest else ranked, kind="stable")[:k]]


def _compared(comparison: Comparison, results: Results, total: int) -> Array:
    found = results[comparison.left.step]
    held = np.zeros(total, bool)
    if not isinstance(found, Answered):
        return held
    values = number(found, comparison.left)
    true = np.asarray(_OPERATORS[comparison.operator](values, comparison.right), bool)
    if values.dtype.kind == "f" and comparison.operator == "!=":
        true = true & ~np.isnan(values)  # every other comparison with NaN is false by itself
    elif values.dtype.kind == "O":
        true = true & np.asarray([value is not None for value in values.reshape(-1)]).reshape(values.shape)
    if found.rows is None and len(true.shape) and len(true) == total:
        return true
    held[slice(None) if found.rows is None or not np.ndim(values) else found.rows] = true
    return held
