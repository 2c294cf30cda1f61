"""Fewer distinct thresholds: those that no row tells apart become one, or each column keeps `most` of them, chosen on the rows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from ..runtimes.trees import LEAF, Trees
from ..sdk.core.signature import Array

Thresholds: TypeAlias = int | Literal["exact"] | None
_ROUNDS = 30


def merged(trees: Trees, x: Array, wanted: int | Literal["exact"], used: Array) -> Array:
    """(nodes,) float32 thresholds, fewer of them distinct.

    Args:
        trees: the ensemble.
        x: (rows, columns) float32 rows to choose on.
        wanted: "exact": every row goes where it went; a number: at most so many per column.
        used: (nodes,) bool nodes that count.
    """
    found = trees.threshold.copy()
    numeric = used & (trees.feature != LEAF) & (trees.bitset < 0)
    for column in np.unique(trees.feature[numeric]):
        nodes = np.flatnonzero(numeric & (trees.feature == column))
        values = np.unique(x[:, column][np.isfinite(x[:, column])])
        found[nodes] = _shared(found[nodes], np.searchsorted(values, found[nodes], side="right"), wanted)
    return found


def _shared(threshold: Array, gap: Array, wanted: int | Literal["exact"]) -> Array:
    """One threshold per gap between neighbouring rows, the middle one of those that are in it; then groups of gaps."""
    gaps, place = np.unique(gap, return_inverse=True)
    middle = np.array([_middle(threshold[place == one]) for one in range(len(gaps))], np.float32)
    if wanted == "exact" or len(gaps) <= wanted:
        return middle[place]
    group = _grouped(gaps.astype(np.float64), np.bincount(place).astype(np.float64), wanted)
    names = np.unique(group)
    kept = {int(one): _middle(threshold[group[place] == one]) for one in names}
    return np.array([kept[int(one)] for one in group[place]], np.float32)


def _middle(held: Array) -> np.float32:
    """One of them, so that a threshold is never one that the source did not have."""
    return np.sort(held)[len(held) // 2]


def _grouped(places: Array, weight: Array, most: int) -> Array:
    """(places,) group of each: weighted 1-D k-means from quantiles (Lloyd, 1982), distances counted in rows between."""
    share = (np.cumsum(weight) - weight / 2) / weight.sum()
    centres = np.interp((np.arange(most) + 0.5) / most, share, places)
    for _ in range(_ROUNDS):
        group = np.abs(places[:, None] - centres).argmin(axis=1)
        total = np.bincount(group, weight, most)
        centres = np.where(total > 0, np.bincount(group, weight * places, most) / np.maximum(total, 1e-12), centres)
    return np.abs(places[:, None] - centres).argmin(axis=1)
