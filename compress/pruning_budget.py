"""Which units go, so that a budget of products or parameters holds: the least important of the whole model, in rounded counts."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, gcd, prod
from typing import Literal, TypeAlias, get_args

import numpy as np

from ..sdk.core.errors import InputError
from ..sdk.core.signature import Array
from .importance import Scores
from .pruning_groups import Group, Layout, remaining

Measure: TypeAlias = Literal["macs", "parameters"]
MEASURES: tuple[str, ...] = get_args(Measure)
LEAST = 0.1
"""Share of its units that a group keeps, whatever the budget: a layer without channels answers nothing."""


def chosen(layout: Layout, scores: Scores, budget: float, measure: Measure, round_to: int) -> list[Array]:
    """One (units,) bool per group: what stays.

    Args:
        layout: of the model.
        scores: of its groups; a group without stays whole.
        budget: products or parameters that may be left.
        measure: which of the two.
        round_to: a group's channels become a multiple of it.

    Raises InputError where the budget cannot be kept, with the least that can be.
    """
    ranked = np.sort(np.concatenate([np.zeros(0), *(score for score in scores if score is not None)]))

    def left(gone: int) -> list[Array]:
        threshold = -np.inf if gone == 0 else ranked[gone - 1]
        return [_kept(group, score, threshold, round_to) for group, score in zip(layout.groups, scores, strict=True)]

    if (least := cost(layout, left(len(ranked)), measure)) > budget:
        raise InputError(f"The budget of {measure} cannot be kept", field="ratio", got=f"{budget:,.0f}", expected=f"{least:,.0f} or more",
                         fix="Ask for less, round to less, or keep fewer layers.")  # fmt: skip
    low, high = 0, len(ranked)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost(layout, left(middle), measure) <= budget else (middle + 1, high)
    return left(low)


def cost(layout: Layout, alive: Sequence[Array], measure: Measure) -> float:
    """Products per row in layers with weights, or numbers in parameters and buffers, where these units are left.

    Products of two activations, as in an attention, are not counted.
    """
    sizes = {name: list(shape) for name, shape in layout.sizes.items()}
    for (tensor, axis), kept in remaining(layout.groups, alive).items():
        sizes[tensor][axis] = int(kept.sum())
    if measure == "parameters":
        return float(sum(prod(shape) for shape in sizes.values()))
    return sum(positions * prod(sizes[name]) for name, positions in layout.uses)


def whole(layout: Layout) -> list[Array]:
    """Every unit stays."""
    return [np.ones(group.size, bool) for group in layout.groups]


def _kept(group: Group, score: Array | None, threshold: float, round_to: int) -> Array:
    """(units,) bool: those above the threshold, and the best of the others up to a round count."""
    if score is None:
        return np.ones(group.size, bool)
    step = round_to // gcd(round_to, group.width)
    wanted = max(int((score > threshold).sum()), ceil(LEAST * group.size), 1)
    count = min(group.size, ceil(wanted / step) * step)
    alive = np.zeros(group.size, bool)
    order = np.argsort(-score, kind="stable")
    alive[order[:count]] = True
    for held in group.members:
        if held.role == "makes" and not held.kept(alive).any():  # a layer beside others of the group keeps its best
            alive[next(unit for unit in order if unit in held.units)] = True
    return alive
