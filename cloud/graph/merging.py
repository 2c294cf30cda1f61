"""The answer of a graph out of its steps' answers: row by row, each from the first source that has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...sdk.core.signature import NUMPY, Array, TensorSpec
from .references import Reference, Source
from .rows import Answered, Results, Rows, number, places

ROW = "row"
"""`request.row`: the number of each row in the request, where no field has this name."""


def merged(spec: TensorSpec, sources: Sequence[Source], rows: Rows, total: int, results: Results) -> Array:
    """One output.

    Args:
        spec: of the output.
        sources: tried in order.
        rows: of the answer, in its order; None: all of the request.
        total: rows of the request.
        results: what the steps answered; every row has a source (`plan.standing` says so).
    """
    axis = spec.batch_axis
    made: Array | None = None
    wanted = missing = np.zeros(0, bool)
    for source in sources:
        held = _held(source, results)
        if held is None:
            continue
        value, held_rows = held
        if axis is None or (made is None and rows is None and held_rows is None and isinstance(source, Reference)):
            return value
        if made is None:
            wanted = np.arange(total) if rows is None else rows
            missing = np.ones(len(wanted), bool)
        at = places(held_rows, wanted, total) if isinstance(source, Reference) else np.zeros(len(wanted), np.int64)
        here = missing & (at >= 0)
        front = np.moveaxis(value, axis, 0) if isinstance(source, Reference) else value[None]
        made = _blank(spec, len(wanted), front) if made is None else made
        made[here] = front[at[here]]
        missing &= ~here
        if not missing.any():
            break
    assert made is not None and not missing.any()  # noqa: S101  standing() said so
    return np.ascontiguousarray(np.moveaxis(made, 0, axis)) if axis else made


def _held(source: Source, results: Results) -> tuple[Array, Rows] | None:
    if not isinstance(source, Reference):
        return np.asarray(source), None
    found = results.get(source.step)
    if not isinstance(found, Answered):
        return None
    plain = source.index is None and source.over is None
    return np.asarray(found.outputs[source.name] if plain else number(found, source)), found.rows


def _blank(spec: TensorSpec, rows: int, front: Array) -> Array:
    """Rows first; the dtype that callers see: names of categories are objects."""
    dtype: Any = object if spec.categories is not None else NUMPY[spec.dtype]
    inner = () if len(spec.shape) == 1 else front.shape[1:]
    return np.empty((rows, *inner), dtype)
