"""Tree ensembles as arrays: the one IR object behind every lowering of trees.

A row starts at each tree's root and goes down:

- numeric node: left when `x[feature] <= threshold`, in float32; NaN takes the node's missing side.
- category node (`bitset >= 0`): the value is a code 0, 1, 2, ...; left when its bit is set; NaN and negative codes
  (missing, unknown) take the node's missing side.

The leaf's values are added to the tree's outputs; the sum, or the mean over all trees, plus `base` is the result.
`evaluate` is the definition, in numpy. `trees_onnx.py` and `trees_gather.py` lower the same arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from ..sdk.core.errors import FormatError, InputError
from ..sdk.core.signature import Array

Aggregate: TypeAlias = Literal["sum", "mean"]
LEAF = -1
CHUNK = 1 << 20
"""Rows times trees that `evaluate` walks at a time."""

_DTYPES = {
    "feature": np.int32, "threshold": np.float32, "left": np.int32, "right": np.int32, "missing_left": np.uint8,
    "bitset": np.int32, "bitsets": np.uint32, "roots": np.int32, "offsets": np.int32, "values": np.float32, "base": np.float32,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trees:
    """An ensemble. Trees stand one after the other, every child after its parent, so that walks end.

    Attributes:
        columns: how many columns `x` has.
        aggregate: what happens to the trees' contributions before `base` is added.
        feature: (nodes,) int32 column that a node reads; LEAF at leaves.
        threshold: (nodes,) float32, of numeric nodes.
        left: (nodes,) int32 child; at leaves the row of `values`.
        right: (nodes,) int32 child; unused at leaves.
        missing_left: (nodes,) uint8, 1 where missing values go left.
        bitset: (nodes,) int32 row of `bitsets` of a category node, else -1.
        bitsets: (sets, words) uint32; bit `code % 32` of word `code // 32` sends `code` left.
        roots: (trees,) int32 node where each tree starts.
        offsets: (trees,) int32 output that takes the first of a leaf's values.
        values: (leaves, width) float32.
        base: (outputs,) float32 added at the end.
    """

    columns: int
    aggregate: Aggregate
    feature: Array
    threshold: Array
    left: Array
    right: Array
    missing_left: Array
    bitset: Array
    bitsets: Array
    roots: Array
    offsets: Array
    values: Array
    base: Array

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))
        _check(self)

    @property
    def outputs(self) -> int:
        """How many numbers a row gets."""
        return len(self.base)

    @cached_property
    def tree_of(self) -> Array:
        """(nodes,) the tree that each node belongs to."""
        return np.searchsorted(self.roots, np.arange(len(self.feature)), side="right") - 1

    @cached_property
    def depth(self) -> int:
        """Comparisons on the longest path, over all trees."""
        level, deepest = self.roots[self.feature[self.roots] != LEAF], 0
        while len(level):
            children = np.concatenate([self.left[level], self.right[level]])
            level, deepest = children[self.feature[children] != LEAF], deepest + 1
        return deepest

    def evaluate(self, x: Array) -> Array:
        """The ensemble on rows, in numpy.

        Args:
            x: (batch, columns) float32.

        Returns:
            (batch, outputs) float32; contributions are added in float64.

        Raises InputError for another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise InputError("Trees read a matrix of their own columns", got=x.shape, expected=("batch", self.columns))
        rows = max(1, CHUNK // max(1, len(self.roots)))
        parts = [self._chunk(x[start : start + rows].astype(np.float32)) for start in range(0, len(x), rows)]
        return np.concatenate(parts) if parts else np.zeros((0, self.outputs), np.float32)

    def leaves(self, x: Array) -> Array:
        """(batch, trees) int32: the row of `values` that each tree ends at, for x: (batch, columns) float32."""
        return self.left[self.ends(x)]

    def ends(self, x: Array) -> Array:
        """(batch, trees) int32: the leaf that each tree ends at, for x: (batch, columns) float32."""
        node = np.tile(self.roots, len(x))
        row = np.repeat(np.arange(len(x)), len(self.roots))
        walking = np.flatnonzero(self.feature[node] != LEAF)
        while len(walking):
            at = node[walking]
            node[walking] = np.where(self._goes_left(at, x[row[walking], self.feature[at]]), self.left[at], self.right[at])
            walking = walking[self.feature[node[walking]] != LEAF]
        return node.reshape(len(x), len(self.roots))

    def _goes_left(self, node: Array, value: Array) -> Array:
        missing = np.isnan(value)
        left = np.less_equal(value, self.threshold[node])
        category = np.flatnonzero(self.bitset[node] >= 0)
        if len(category):
            code = value[category]
            missing[category] |= code < 0
            left[category] = self._member(self.bitset[node[category]], np.where(code >= 0, code, 0))
        return np.where(missing, self.missing_left[node] != 0, left)

    def _member(self, bitset: Array, code: Array) -> Array:
        bits = self.bitsets.shape[1] * 32
        known = code < bits
        index = np.where(known, code, 0).astype(np.int64)
        return known & ((self.bitsets[bitset, index // 32] >> (index % 32).astype(np.uint32)) & 1).astype(np.bool_)

    def _chunk(self, x: Array) -> Array:
        total = np.zeros((len(x), self.outputs), np.float64)
        leaves, width = self.leaves(x), self.values.shape[1]
        for tree, offset in enumerate(self.offsets.tolist()):
            total[:, offset : offset + width] += self.values[leaves[:, tree]]
        return (total / self.divisor + self.base).astype(np.float32)

    @property
    def divisor(self) -> int:
        """What the sum over trees is divided by."""
        return len(self.roots) if self.aggregate == "mean" else 1

    def to_dict(self) -> dict[str, Any]:
        """The part that is not arrays, JSON-ready: what a `.trees.json` file holds."""
        return {"trees": 1, "columns": self.columns, "aggregate": self.aggregate}

    def to_tensors(self) -> dict[str, Array]:
        """The arrays by attribute name: what goes into the package's weights."""
        return {name: getattr(self, name) for name in _DTYPES}

    @classmethod
    def from_tensors(cls, data: Mapping[str, Any], tensors: Mapping[str, Array]) -> Trees:
        """Rebuild from `to_dict` and `to_tensors`, which may come from an untrusted file.

        Raises FormatError for an unknown version, a missing array, or arrays that do not form an ensemble.
        """
        if data.get("trees") != 1:
            raise FormatError("A trees stage has an unknown format version", got=data.get("trees"), expected=1)
        if missing := [name for name in _DTYPES if name not in tensors]:
            raise FormatError(f"A trees stage lacks the array {missing[0]!r}", expected=", ".join(_DTYPES))
        columns, aggregate = data.get("columns"), data.get("aggregate")
        if not isinstance(columns, int) or aggregate not in ("sum", "mean"):
            raise FormatError("A trees stage is malformed", got=dict(data), expected="columns and aggregate")
        return cls(columns=columns, aggregate=aggregate, **{name: tensors[name] for name in _DTYPES})


def _check(trees: Trees) -> None:
    """Refuse arrays on which a walk could leave its array or never end."""
    nodes = len(trees.feature)
    for name in ("threshold", "left", "right", "missing_left", "bitset"):
        _require(getattr(trees, name).shape == (nodes,), f"{name} does not have one entry per node")
    _require(trees.bitsets.ndim == 2 and trees.values.ndim == 2 and trees.base.ndim == 1, "an array has the wrong rank")
    _require(trees.roots.shape == trees.offsets.shape and trees.roots.ndim == 1, "roots and offsets differ in length")
    _require(len(trees.roots) > 0 and trees.roots[0] == 0, "the first tree does not start at the first node")
    _require(_within(trees.roots, nodes) and bool(np.all(np.diff(trees.roots) > 0)), "roots are not nodes in order")
    leaf = trees.feature == LEAF
    index = np.arange(nodes)
    for child in (trees.left, trees.right):
        _require(bool(np.all(leaf | ((child > index) & (child < nodes)))), "a child does not stand after its parent")
        inner = np.flatnonzero(~leaf)
        _require(bool(np.all(trees.tree_of[inner] == trees.tree_of[child[inner]])), "a child belongs to another tree")
    _require(_within(trees.left[leaf], len(trees.values)), "a leaf has no values")
    _require(_within(trees.feature[~leaf], trees.columns), "a node reads a column that does not exist")
    _require(_within(trees.bitset[trees.bitset != -1], len(trees.bitsets)), "a node names a bitset that does not exist")
    _require(_within(trees.offsets, len(trees.base) - trees.values.shape[1] + 1), "a tree writes an output that does not exist")


def _within(values: Array, limit: int) -> bool:
    return bool(np.all((values >= 0) & (values < limit)))


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise FormatError(f"A tree ensemble is malformed: {problem}")
