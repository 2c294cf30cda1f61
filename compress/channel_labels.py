"""Which indices of which tensors must stay or go together: a label for each index along an axis, joined where operators tie them.

An axis of an activation has one label per index, or none where its size does not depend on a layer's width. Joining is union-find.
Labels that must stay are pinned, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..sdk.core.signature import Array

Axis: TypeAlias = Array | None
"""(size,) int64 labels; None: the size is fixed."""
Axes: TypeAlias = tuple[Axis, ...]


class Labels:
    """Labels, what is joined, and what is pinned."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._pins: list[tuple[int, str]] = []

    def fresh(self, size: int) -> Array:
        """New labels, none joined."""
        start = len(self._parent)
        self._parent.extend(range(start, start + size))
        return np.arange(start, start + size)

    def pin(self, axis: Axis, why: str) -> None:
        """Indices of this axis stay."""
        if axis is not None:
            self._pins.extend((int(label), why) for label in axis)

    def pin_all(self, axes: Sequence[Axis], why: str) -> None:
        """Indices of all these axes stay."""
        for axis in axes:
            self.pin(axis, why)

    def join(self, one: Axis, other: Axis, why: str = "it meets numbers whose size is fixed") -> Axis:
        """Indices of two axes of one size stay or go together; the axis that results."""
        if one is None or other is None:
            self.pin(one if other is None else other, why)
            return one if other is None else other
        if len(one) != len(other):
            self.pin_all((one, other), why)
            return None
        for left, right in zip(one.tolist(), other.tolist(), strict=True):
            self._unite(left, right)
        return one

    def join_within(self, axis: Array) -> None:
        """All indices of this axis stay or go together."""
        for label in axis.tolist()[1:]:
            self._unite(int(axis[0]), label)

    def roots(self, axis: Array) -> Array:
        """(size,) one label for all that are joined."""
        return np.array([self._find(label) for label in axis.tolist()], dtype=np.int64)

    def pinned(self) -> dict[int, str]:
        """Root -> why it stays."""
        found: dict[int, str] = {}
        for label, why in self._pins:
            found.setdefault(self._find(label), why)
        return found

    def _find(self, label: int) -> int:
        while self._parent[label] != label:
            self._parent[label] = self._parent[self._parent[label]]
            label = self._parent[label]
        return label

    def _unite(self, one: int, other: int) -> None:
        left, right = self._find(one), self._find(other)
        self._parent[max(left, right)] = min(left, right)


def reshaped(labels: Labels, axes: Axes, before: Sequence[int], after: Sequence[int]) -> Axes:
    """Axes of a tensor in another shape.

    An axis that is split keeps its labels on the outer part, those of a block joined: heads of an attention. Axes that are merged repeat
    the labels of the one that has any: channels before a linear layer. What can be neither is pinned.
    """
    found: list[Axis] = [None] * len(after)
    for left, right in _blocks(before, after):
        own = [place for place in left if axes[place] is not None]
        if len(own) == 1 and len(right) == 1:
            found[right[0]] = _merged(axes[own[0]], [before[place] for place in left], left.index(own[0]))
        elif len(own) == 1 and len(left) == 1:
            held = axes[own[0]]
            if held is not None:
                for block in (parts := held.reshape(after[right[0]], -1)):
                    labels.join_within(block)
                found[right[0]] = parts[:, 0]
        else:
            labels.pin_all([axes[place] for place in own], "it is reshaped in a way that mixes channels")
    return tuple(found)


def _merged(axis: Axis, sizes: Sequence[int], place: int) -> Axis:
    if axis is None:
        return None
    shape = [1] * len(sizes)
    shape[place] = len(axis)
    return np.broadcast_to(axis.reshape(shape), tuple(sizes)).reshape(-1)


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Smallest runs of axes of both shapes that hold equally many numbers; axes of size 1 are in none."""
    left, right = ([place for place, size in enumerate(shape) if size != 1] for shape in (before, after))
    found: list[tuple[list[int], list[int]]] = []
    while left and right:
        block = ([left.pop(0)], [right.pop(0)])
        one, two = before[block[0][0]], after[block[1][0]]
        while one != two:
            if one < two:
                block[0].append(left.pop(0))
                one *= before[block[0][-1]]
            else:
                block[1].append(right.pop(0))
                two *= after[block[1][-1]]
        found.append(block)
    return found
