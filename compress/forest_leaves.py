"""Leaf values in fewer bits: numbers that float16 holds, or 256 steps per output, as long as the outputs' own rules allow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from ..runtimes.trees import Trees
from ..sdk.core.contract import Rule
from ..sdk.core.decisions import judge
from ..sdk.core.errors import UnsupportedError
from ..sdk.core.signature import Array
from .forest_rows import Inside, Rows

Leaves: TypeAlias = Literal["float32", "float16", "int8", "auto"]
LEAVES: tuple[str, ...] = get_args(Leaves)
_STEPS = 255


def rounded(trees: Trees, form: Leaves) -> Trees:
    """The ensemble with values that the form holds; rows of values that became equal are one.

    Raises UnsupportedError for values that float16 does not reach.
    """
    if form == "float32":
        return trees
    with np.errstate(over="ignore"):  # said below
        held = trees.values.astype(np.float16).astype(np.float32) if form == "float16" else _stepped(trees.values)
    if not np.isfinite(held).all():
        raise UnsupportedError("A leaf's value is out of reach for float16", got=float(np.abs(trees.values).max()),
                               expected="at most 65504", fix='Use leaves="int8", whose steps follow the values.')  # fmt: skip
    values, row = np.unique(held, axis=0, return_inverse=True)
    left = np.where(trees.feature < 0, row.reshape(-1)[np.where(trees.feature < 0, trees.left, 0)], trees.left)
    return replace(trees, values=values, left=left)


def _stepped(values: Array) -> Array:
    """Per column of values the nearest of 256 steps from the lowest to the highest."""
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    step = np.where(high > low, (high - low) / _STEPS, 1.0)
    return (low + np.round((values - low) / step) * step).astype(np.float32)


def fitting(trees: Trees, form: Leaves, inside: Inside, rows: Rows, rules: Mapping[str, Rule]) -> Trees:
    """The ensemble in the asked form, or in the narrowest that the rules allow ("auto").

    Raises UnsupportedError where the asked form moves an output further on the rows than its rule allows.
    """
    for tried in ("int8", "float16") if form == "auto" else (form,):
        try:
            made = rounded(trees, tried)
            worst = None if tried == "float32" else _off(trees, made, inside, rows, rules)
        except UnsupportedError:
            if form != "auto":
                raise
            continue
        if worst is None:
            return made
        if form != "auto":
            raise UnsupportedError(f"Leaf values in {form} move an output further than its rule allows", got=worst,
                                   fix='Use leaves="auto", which takes the narrowest form that holds.')  # fmt: skip
    return trees


def _off(trees: Trees, made: Trees, inside: Inside, rows: Rows, rules: Mapping[str, Rule]) -> str | None:
    """The output that fails its rule for lossy artifacts, with the figures; None where all hold."""
    before, after = (inside.behind(held.evaluate(rows.x), rows) for held in (trees, made))
    for name, held in before.items():
        found = judge(rules[name], held, after[name], lossy=True)
        if found.verdict == "failed" or (found.verdict == "not enough data" and found.flips):
            return f"{name}: {found.measured:.4g} where {found.limit:.4g} is allowed"
    return None
