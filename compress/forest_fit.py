"""Fewer trees, and leaves fitted again: an ensemble's values as numbers to be found on rows, its paths as they are.

Trees are taken one by one, each time the one with which a scaled sum comes closest to the goal (orthogonal greedy selection, as in
Margineantu and Dietterich, "Pruning Adaptive Boosting", 1997, by evidence instead of order). Leaves are then moved tree by tree by
Newton steps on the rest of the loss, drawn to what they were by `ridge` rows (Ren et al., "Global Refinement of Random Forest", 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..runtimes.trees import Trees
from ..sdk.core.signature import Array
from .forest_links import Link
from .forest_prune import added, standing
from .kept_steps import ANYWHERE, Scope

_LOOKED = 1 << 23
"""Numbers at most that trees are compared on."""


@dataclass(frozen=True, eq=False)
class Shape:
    """An ensemble that is being made smaller.

    Attributes:
        trees: the source, whose paths are used.
        chosen: trees that stay, in the source's order.
        leaf: (nodes,) bool, leaves of the result.
        value: (nodes, width) float64 that each node adds to the sum as a leaf.
        base: (outputs,) float64 added at the end.
    """

    trees: Trees
    chosen: Array
    leaf: Array
    value: Array
    base: Array

    @classmethod
    def of(cls, trees: Trees) -> Shape:
        """The ensemble as it is."""
        return cls(trees, np.arange(len(trees.roots)), trees.feature < 0, added(trees), trees.base.astype(np.float64))

    def ends(self, ends: Array) -> Array:
        """(rows, chosen) where rows stand, from the (rows, trees) leaves of the source."""
        return standing(self.trees, self.leaf)[ends[:, self.chosen]]

    def score(self, ends: Array) -> Array:
        """(rows, outputs) float64, for the (rows, chosen) places of rows."""
        width, total = self.value.shape[1], np.tile(self.base, (len(ends), 1))
        for place, tree in enumerate(self.chosen.tolist()):
            offset = int(self.trees.offsets[tree])
            total[:, offset : offset + width] += self.value[ends[:, place]]
        return total


def order(shape: Shape, ends: Array, wanted: Array, slope: Array) -> Array:
    """Trees by how much each brings a scaled sum of those before it towards `wanted`, best first.

    Args:
        shape: the whole ensemble.
        ends: (rows, trees) leaf of each row.
        wanted: (rows, outputs) scores to come close to.
        slope: (rows, outputs) weight of each.
    """
    rows = max(1, _LOOKED // max(1, len(shape.chosen) * wanted.shape[1]))
    ends, wanted, root = ends[:rows], wanted[:rows], np.sqrt(slope[:rows])
    given = np.stack([((held - held.mean(axis=0)) * root).ravel() for held in _each(shape, ends, wanted.shape[1])])
    goal = ((wanted - wanted.mean(axis=0)) * root).ravel()
    gram, near = given @ given.T, given @ goal
    found, left = list[int](), np.ones(len(given), bool)
    along, size, cross = 0.0, 0.0, np.zeros(len(given))
    for _ in range(len(given)):
        gain = np.maximum(along + near, 0) ** 2 / np.maximum(size + 2 * cross + np.diag(gram), 1e-30)
        best = int(np.argmax(np.where(left, gain, -1.0)))
        along, size = along + near[best], size + 2 * cross[best] + gram[best, best]
        cross, left[best] = cross + gram[best], False
        found.append(best)
    return np.array(found)


def _each(shape: Shape, ends: Array, outputs: int) -> list[Array]:
    """Per tree (rows, outputs) what it adds."""
    width, found = shape.value.shape[1], list[Array]()
    for tree, offset in enumerate(shape.trees.offsets.tolist()):
        held = np.zeros((len(ends), outputs))
        held[:, offset : offset + width] = shape.value[ends[:, tree]]
        found.append(held)
    return found


def narrowed_to(shape: Shape, chosen: Array, ends: Array, wanted: Array, slope: Array) -> Shape:
    """These trees alone, scaled and shifted as a whole towards `wanted`."""
    kept = replace(shape, chosen=np.sort(chosen))
    if len(chosen) == len(shape.chosen):
        return kept
    total = kept.score(ends[:, kept.chosen]) - shape.base
    weight = slope / slope.sum(axis=0)
    centre, middle = (weight * total).sum(axis=0), (weight * wanted).sum(axis=0)
    spread = float((slope * (total - centre) ** 2).sum())
    factor = float((slope * (total - centre) * (wanted - middle)).sum()) / spread if spread > 0 else 1.0
    factor = factor if factor > 0 else 1.0
    return replace(kept, value=kept.value * factor, base=middle - factor * centre)


def thinned(shape: Shape, chosen: Array) -> Shape:
    """These trees alone, as they are; a mean is the mean over these."""
    factor = len(shape.chosen) / len(chosen) if shape.trees.aggregate == "mean" else 1.0
    return replace(shape, chosen=np.sort(chosen), value=shape.value * factor)


def refitted(shape: Shape, ends: Array, goal: Array, link: Link, sweeps: int, ridge: float, scope: Scope = ANYWHERE) -> list[Shape]:
    """The shape after each sweep over its trees, leaves moved towards the goal; the shape itself comes first.

    Args:
        shape: pruned.
        ends: (rows, chosen) places of the rows.
        goal: (rows, outputs) answers.
        link: from scores to answers.
        sweeps: how many.
        ridge: rows that draw a leaf to what it was.
        scope: keeps the leaves after each sweep.
    """
    now, base, found = {"value": shape.value, "score": shape.score(ends)}, shape.base.copy(), [shape]
    kept = scope.series("forest-sweep")
    for _ in range(sweeps):
        now = kept.step(lambda now=now: _swept(shape, ends, goal, link, ridge, **now))
        found.append(replace(shape, value=now["value"], base=base))
    return found


def _swept(shape: Shape, ends: Array, goal: Array, link: Link, ridge: float, value: Array, score: Array) -> dict[str, Array]:
    """Values and scores of the rows after one more sweep."""
    value, score, width = value.copy(), score.copy(), value.shape[1]
    for place, tree in enumerate(shape.chosen.tolist()):
        offset, at = int(shape.trees.offsets[tree]), ends[:, place]
        own = slice(offset, offset + width)
        answer = link.mean(score)
        pull, slope = link.pull(answer, goal)[:, own], link.slope(answer)[:, own]
        names, inverse = np.unique(at, return_inverse=True)
        faint = ridge * max(float(slope.mean()), 1e-12)
        sums = ([np.bincount(inverse, held[:, one]) for one in range(width)] for held in (pull, slope))
        step = -np.stack(next(sums), 1) / (np.stack(next(sums), 1) + faint)
        value[names] += step
        score[:, own] += step[inverse]
    return {"value": value, "score": score}
