"""Pruning nodes of an ensemble: which subtrees become leaves so that a budget holds and the answers change least.

Minimal cost-complexity pruning (Breiman et al., "Classification and Regression Trees", 1984, chapter 3) over all trees at once: a
subtree goes where its leaves gain less than `alpha` each, and alpha is the smallest that keeps the budget. The cost of a collapse is
the second-order change of the ensemble's loss on the rows: without labels how far answers move, with labels the reduced error too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..runtimes.trees import LEAF, Trees
from ..sdk.core.signature import Array
from .kept_steps import ANYWHERE, Scope

_STEPS = 50
_FAINT = 1e-3
"""Weight of a leaf that no row reaches, in rows: its node takes the plain mean, and the least varied go first."""


@dataclass(frozen=True, eq=False)
class Costs:
    """What each node would be as a leaf.

    Attributes:
        value: (nodes, width) float64, what it would add.
        cost: (nodes,) float64 change of the loss, summed over rows; 0 at leaves.
    """

    value: Array
    cost: Array


def levels(trees: Trees) -> list[Array]:
    """Nodes by depth, roots first."""
    found = [trees.roots.astype(np.int64)]
    while len(found[-1]):
        inner = found[-1][trees.feature[found[-1]] != LEAF]
        found.append(np.concatenate([trees.left[inner], trees.right[inner]]).astype(np.int64))
    return found[:-1]


def added(trees: Trees) -> Array:
    """(nodes, width) float64: what each leaf adds to the ensemble's sum, the mean's divisor applied; zeros at inner nodes."""
    held = np.zeros((len(trees.feature), trees.values.shape[1]))
    leaf = trees.feature == LEAF
    held[leaf] = trees.values[trees.left[leaf]].astype(np.float64) / trees.divisor
    return held


def costs(trees: Trees, value: Array, ends: Array, pull: Array, slope: Array) -> Costs:
    """Values and costs of collapsing every node.

    Args:
        trees: the ensemble.
        value: (nodes, width) what each leaf adds, as `added` says.
        ends: (rows, trees) leaf of each row.
        pull, slope: (rows, outputs) first and second derivatives of the loss at the ensemble's scores.
    """
    width = trees.values.shape[1]
    leaf = trees.feature == LEAF
    weight, pulled = np.zeros_like(value), np.zeros_like(value)
    for tree, offset in enumerate(trees.offsets.tolist()):
        for place in range(width):
            weight[:, place] += np.bincount(ends[:, tree], slope[:, offset + place], len(value))
            pulled[:, place] += np.bincount(ends[:, tree], pull[:, offset + place], len(value))
    weight[leaf] += _FAINT * max(float(slope.mean()), 1e-12)
    sums = np.stack([weight, weight * value, weight * value**2, pulled, pulled * value])
    for level in reversed(levels(trees)):
        inner = level[trees.feature[level] != LEAF]
        sums[:, inner] += sums[:, trees.left[inner]] + sums[:, trees.right[inner]]
    weight, first, second, pulled, moved = sums
    mean = np.where(leaf[:, None], value, first / weight)
    change = mean * pulled - moved + 0.5 * (second - first * mean)
    return Costs(mean, np.where(leaf, 0.0, change.sum(axis=1)))


def pruned(trees: Trees, held: Costs, chosen: Array, fits: Callable[[Array], bool], scope: Scope = ANYWHERE) -> Array:
    """(nodes,) bool: leaves of the pruned ensemble, those of the source among them.

    Args:
        trees: the ensemble.
        held: its costs.
        chosen: trees that stay.
        fits: leaves -> whether the budget holds.
        scope: keeps how far alpha is found.
    """
    order = levels(trees)
    own = np.isin(trees.tree_of, chosen)
    leaf = _at(trees, held, order, 0.0)
    if fits(leaf & own):
        return leaf
    high = float(np.abs(held.cost).sum()) + 1.0
    low = high * 1e-15
    kept = scope.series("forest-alpha")

    def halved(low: float, high: float) -> dict[str, Array]:
        middle = (low * high) ** 0.5
        return {"bounds": np.array((low, middle) if fits(_at(trees, held, order, middle) & own) else (middle, high))}

    for _ in range(_STEPS):
        low, high = kept.step(lambda low=low, high=high: halved(low, high))["bounds"].tolist()
    return _at(trees, held, order, high)


def _at(trees: Trees, held: Costs, order: list[Array], alpha: float) -> Array:
    """Leaves of the smallest best subtree where each leaf costs `alpha`."""
    best, leaf = held.cost + alpha, trees.feature == LEAF
    for level in reversed(order):
        inner = level[trees.feature[level] != LEAF]
        below = best[trees.left[inner]] + best[trees.right[inner]]
        leaf[inner] = best[inner] <= below
        best[inner] = np.minimum(best[inner], below)
    return leaf


def standing(trees: Trees, leaf: Array) -> Array:
    """(nodes,) int64: where a row that stood at each node stands now: the highest leaf on its way, else itself."""
    now = np.arange(len(leaf))
    for level in levels(trees):
        inner = level[trees.feature[level] != LEAF]
        for child in (trees.left[inner], trees.right[inner]):
            covered = leaf[inner] | (now[inner] != inner)
            now[child] = np.where(covered, now[inner], child)
    return now
