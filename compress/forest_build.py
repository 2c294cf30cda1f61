"""Arrays of a smaller ensemble: nodes that are left, values that are shared, constants in the base, sets that a node names."""

from __future__ import annotations

import numpy as np

from ..runtimes.trees import LEAF, Trees
from ..sdk.core.signature import Array
from .forest_fit import Shape
from .forest_prune import levels

_NODE, _VALUE, _TREE, _WORD = 21, 4, 8, 4
"""Bytes of a node, a value, a tree's root and offset, and a word of a set, as `Trees` holds them."""


def size_bytes(trees: Trees) -> int:
    """Bytes of the arrays."""
    return sum(held.nbytes for held in trees.to_tensors().values())


class Size:
    """What a choice of leaves comes to, in the units of a budget.

    Args:
        trees: the source.
        chosen: trees that stay.
        nodes: at most.
        size: bytes at most.
    """

    def __init__(self, trees: Trees, chosen: Array, nodes: int, size: int) -> None:
        self._trees, self._nodes, self._size = trees, nodes, size
        self._levels, self._roots = levels(trees), trees.roots[chosen]

    def fits(self, leaf: Array) -> bool:
        """The budget holds with these leaves."""
        alive = self.alive(leaf)
        ends = int((alive & leaf).sum())
        nodes = int(alive.sum())
        sets = int((alive & ~leaf & (self._trees.bitset >= 0)).sum())
        used = nodes * _NODE + ends * self._trees.values.shape[1] * _VALUE + len(self._roots) * _TREE
        used += min(sets, len(self._trees.bitsets)) * self._trees.bitsets.shape[1] * _WORD + self._trees.base.nbytes
        return nodes <= self._nodes and used <= self._size

    def alive(self, leaf: Array) -> Array:
        """(nodes,) bool: nodes on the way to a leaf of the trees that stay."""
        found = np.zeros(len(leaf), bool)
        found[self._roots] = True
        for level in self._levels:
            inner = level[found[level] & ~leaf[level]]
            found[self._trees.left[inner]] = found[self._trees.right[inner]] = True
        return found


def built(shape: Shape, threshold: Array | None = None) -> Trees:
    """The ensemble of a shape. Trees that are one leaf are added to the base; one stays where there is no other.

    Args:
        shape: leaves, values, base.
        threshold: (nodes,) float32 in place of the source's; None: as they are.
    """
    trees, base = shape.trees, shape.base.copy()
    single = shape.leaf[trees.roots[shape.chosen]]
    single[0] &= not single.all()
    for tree in shape.chosen[single].tolist():
        offset = int(trees.offsets[tree])
        base[offset : offset + shape.value.shape[1]] += shape.value[trees.roots[tree]]
    chosen = shape.chosen[~single]
    alive = Size(trees, chosen, 0, 0).alive(shape.leaf)
    kept = np.flatnonzero(alive)
    place = np.cumsum(alive) - 1
    leaf = shape.leaf[kept]
    factor = len(chosen) if trees.aggregate == "mean" else 1
    values, row = np.unique((shape.value[kept[leaf]] * factor).astype(np.float32), axis=0, return_inverse=True)
    left, right = (np.where(leaf, 0, place[np.where(leaf, 0, side[kept])]) for side in (trees.left, trees.right))
    left[leaf] = row.reshape(-1)
    bitset, bitsets = _sets(trees, np.where(leaf, -1, trees.bitset[kept]))
    return Trees(
        columns=trees.columns, aggregate=trees.aggregate, feature=np.where(leaf, LEAF, trees.feature[kept]),
        threshold=np.where(leaf, 0, (trees.threshold if threshold is None else threshold)[kept]), left=left, right=right,
        missing_left=np.where(leaf, 0, trees.missing_left[kept]), bitset=bitset, bitsets=bitsets, roots=place[trees.roots[chosen]],
        offsets=trees.offsets[chosen], values=values, base=base,
    )  # fmt: skip


def _sets(trees: Trees, bitset: Array) -> tuple[Array, Array]:
    """Nodes' sets renumbered, each distinct one once."""
    named = bitset >= 0
    if not named.any():
        return bitset, np.zeros((0, trees.bitsets.shape[1]), np.uint32)
    sets, row = np.unique(trees.bitsets[bitset[named]], axis=0, return_inverse=True)
    renamed = bitset.copy()
    renamed[named] = row.reshape(-1)
    return renamed, sets
