"""Tree ensembles as matrix products in standard ONNX operators, for engines that are fast at those and have no trees.

Every inner node decides at once: its column is picked by index, compared in float32 with the very threshold of the IR, and
becomes 0 or 1; no arithmetic touches a feature, so that NaN and infinities stay where they are. Per tree, one product adds up
the decisions on each leaf's path: +1 where the path goes left, -1 where it goes right. The sum equals the number of left turns
exactly at the leaf that is reached, and is smaller at every other, so `relu(sum - turns + 1)` is 1 there and 0 elsewhere; all
of it small integers, exact in float32. A second product adds the leaves' values. (The idea: Nakandala et al., "A Tensor Compiler
for Unified Machine Learning Prediction Serving", OSDI 2020.)

The first product costs inner nodes x leaves per tree: `gemm_floats` says how many, and deep trees go to `trees_gather.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto

from ..sdk.core.signature import Array
from .trees import LEAF, Trees
from .trees_onnx import Builder, widen, without_categories


@dataclass(frozen=True)
class Layout:
    """An ensemble padded to trees of one size.

    Attributes:
        node: (trees, inner) int: the IR's node; 0 where a tree has fewer.
        inner: (trees, inner) bool: there is a node.
        paths: (trees, inner, leaves) float32: +1, -1 or 0.
        turns: (trees, leaves) float32: left turns on the way to a leaf; unreachable where there is none.
        values: (trees, leaves, outputs) float32.
    """

    node: Array
    inner: Array
    paths: Array
    turns: Array
    values: Array


def gemm_floats(trees: Trees) -> int:
    """Weights of the product over paths: trees x most inner nodes x most leaves."""
    leaf = trees.feature == LEAF
    inner, leaves = (int(np.bincount(trees.tree_of[side], minlength=len(trees.roots)).max()) for side in (~leaf, leaf))
    return len(trees.roots) * max(1, inner) * leaves


def to_gemm(trees: Trees, source: str = "features", result: str = "scores") -> ModelProto:
    """The ensemble as a model `source` (batch, columns) float32 -> `result` (batch, outputs) float32.

    Inner names start with `result` and a slash. Leaf values must be finite.
    """
    numeric, indicators = without_categories(trees)
    layout = laid_out(numeric)
    builder = Builder()
    wide = widen(builder, indicators, source, result)
    decisions = _decide(builder, numeric, layout, wide, result)
    reached = _walk(builder, layout, decisions, result)
    _add_up(builder, numeric, layout, reached, result)
    return builder.model(trees, source, result, ml=False)


def laid_out(trees: Trees) -> Layout:
    """The padded arrays of an ensemble of numeric nodes."""
    leaf = trees.feature == LEAF
    count = len(trees.roots)
    sides = [[np.flatnonzero((trees.tree_of == tree) & side) for tree in range(count)] for side in (~leaf, leaf)]
    inner, leaves = (max(1, *(len(nodes) for nodes in side), 1) for side in sides)
    node, there = np.zeros((count, inner), np.int64), np.zeros((count, inner), np.bool_)
    paths, turns = np.zeros((count, inner, leaves), np.float32), np.full((count, leaves), inner + 1, np.float32)
    values = np.zeros((count, leaves, trees.outputs), np.float32)
    for tree, (nodes, ends) in enumerate(zip(*sides, strict=True)):
        node[tree, : len(nodes)], there[tree, : len(nodes)] = nodes, True
        path = _paths(trees, int(trees.roots[tree]), nodes, ends)
        paths[tree, : len(nodes), : len(ends)] = path
        turns[tree, : len(ends)] = (path > 0).sum(axis=0)
        offset = int(trees.offsets[tree])
        values[tree, : len(ends), offset : offset + trees.values.shape[1]] = trees.values[trees.left[ends]]
    return Layout(node, there, paths, turns, values)


def _paths(trees: Trees, root: int, nodes: Array, ends: Array) -> Array:
    """(inner, leaves) of one tree: how each node lies on the way to each leaf. Children stand after their parents."""
    row, column = ({int(node): place for place, node in enumerate(side)} for side in (nodes, ends))
    paths = np.zeros((len(nodes), len(ends)), np.float32)
    above: dict[int, list[tuple[int, float]]] = {root: []}
    for node in sorted([*row, *column]):
        way = above.pop(node, [])
        if node in column:
            for place, turn in way:
                paths[place, column[node]] = turn
            continue
        above[int(trees.left[node])] = [*way, (row[node], 1.0)]
        above[int(trees.right[node])] = [*way, (row[node], -1.0)]
    return paths


def _decide(builder: Builder, trees: Trees, layout: Layout, wide: str, prefix: str) -> str:
    """(trees, batch, inner) float32: 1 where a row goes left at a node."""
    at, there = layout.node.reshape(-1), layout.inner.reshape(-1)
    columns = builder.constant(f"{prefix}/feature", np.where(there, trees.feature[at], 0).astype(np.int64))
    threshold = builder.constant(f"{prefix}/threshold", np.where(there, trees.threshold[at], 0).astype(np.float32)[None])
    value = builder.add("Gather", [wide, columns], f"{prefix}/value", axis=1)
    left = builder.add("LessOrEqual", [value, threshold], f"{prefix}/below")
    defaults = there & (trees.missing_left[at] != 0)
    if defaults.any():
        missing = builder.add("IsNaN", [value], f"{prefix}/missing")
        default = builder.constant(f"{prefix}/missing_left", defaults[None])
        left = builder.add("Or", [left, builder.add("And", [missing, default], f"{prefix}/default")], f"{prefix}/left")
    flat = builder.add("Cast", [left], f"{prefix}/decision", to=TensorProto.FLOAT)
    shape = builder.constant(f"{prefix}/by_tree", np.array([-1, *layout.node.shape], np.int64))
    return builder.add("Transpose", [builder.add("Reshape", [flat, shape], f"{prefix}/nodes")], f"{prefix}/decisions", perm=[1, 0, 2])


def _walk(builder: Builder, layout: Layout, decisions: str, prefix: str) -> str:
    """(trees, batch, leaves) float32: 1 at the leaf that a row reaches."""
    paths = builder.constant(f"{prefix}/paths", layout.paths)
    spare = builder.constant(f"{prefix}/spare", (1 - layout.turns)[:, None])
    turned = builder.add("MatMul", [decisions, paths], f"{prefix}/turned")
    return builder.add("Relu", [builder.add("Add", [turned, spare], f"{prefix}/matched")], f"{prefix}/reached")


def _add_up(builder: Builder, trees: Trees, layout: Layout, reached: str, prefix: str) -> None:
    count, leaves, outputs = layout.values.shape
    values = builder.constant(f"{prefix}/values", layout.values.reshape(count * leaves, outputs) / np.float32(trees.divisor))
    rows = builder.add("Transpose", [reached], f"{prefix}/by_row", perm=[1, 0, 2])
    shape = builder.constant(f"{prefix}/flat", np.array([-1, count * leaves], np.int64))
    total = builder.add("MatMul", [builder.add("Reshape", [rows, shape], f"{prefix}/ends"), values], f"{prefix}/total")
    builder.add("Add", [total, builder.constant(f"{prefix}/base", trees.base)], prefix)
