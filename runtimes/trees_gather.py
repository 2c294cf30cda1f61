"""Tree ensembles in standard ONNX operators, for engines without `ai.onnx.ml`.

All trees go down one level at a time: a matrix (batch, trees) holds the node where each row stands, and five gathers move
it on. Leaves point at themselves, so a short path waits for the longest one. Slower than a tree operator, but everywhere.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto

from ..sdk.core.signature import Array
from .trees import LEAF, Trees
from .trees_onnx import Builder, widen, without_categories


def to_gather(trees: Trees, source: str = "features", result: str = "scores") -> ModelProto:
    """The ensemble as a model `source` (batch, columns) float32 -> `result` (batch, outputs) float32.

    Inner names start with `result` and a slash.
    """
    numeric, indicators = without_categories(trees)
    builder = Builder()
    wide = widen(builder, indicators, source, result)
    _constants(builder, numeric, result)
    node = _roots(builder, wide, result)
    for level in range(trees.depth):
        node = _descend(builder, wide, node, result, level)
    _add_up(builder, numeric, node, result)
    return builder.model(trees, source, result, ml=False)


def _constants(builder: Builder, trees: Trees, prefix: str) -> None:
    builder.constant(f"{prefix}/roots", trees.roots.astype(np.int64)[None])
    builder.constant(f"{prefix}/values", _dense_values(trees))
    if trees.depth == 0:
        return
    leaf, itself = trees.feature == LEAF, np.arange(len(trees.feature))
    builder.constant(f"{prefix}/feature", np.where(leaf, 0, trees.feature).astype(np.int64))
    builder.constant(f"{prefix}/threshold", trees.threshold)
    builder.constant(f"{prefix}/missing_left", trees.missing_left.astype(np.int64))  # old interpreters pick no bools
    builder.constant(f"{prefix}/left", np.where(leaf, itself, trees.left).astype(np.int64))
    builder.constant(f"{prefix}/right", np.where(leaf, itself, trees.right).astype(np.int64))


def _dense_values(trees: Trees) -> Array:
    """(nodes, outputs) float32: what a row that stands at a leaf gets."""
    dense = np.zeros((len(trees.feature), trees.outputs), np.float32)
    leaves = np.flatnonzero(trees.feature == LEAF)
    columns = trees.offsets[trees.tree_of[leaves]][:, None] + np.arange(trees.values.shape[1])
    dense[leaves[:, None], columns] = trees.values[trees.left[leaves]]
    return dense


def _roots(builder: Builder, wide: str, prefix: str) -> str:
    """(batch, trees) int64: every row at every root."""
    rows = builder.add("Shape", [wide], f"{prefix}/batch", start=0, end=1)
    one = builder.constant(f"{prefix}/one_tree", np.array([1], np.int64))
    shape = builder.add("Concat", [rows, one], f"{prefix}/shape", axis=0)
    return builder.add("Expand", [f"{prefix}/roots", shape], f"{prefix}/node.start")


def _descend(builder: Builder, wide: str, node: str, prefix: str, level: int) -> str:
    def gather(table: str) -> str:
        return builder.add("Gather", [f"{prefix}/{table}", node], f"{prefix}/{table}.{level}", axis=0)

    value = builder.add("GatherElements", [wide, gather("feature")], f"{prefix}/value.{level}", axis=1)
    missing = builder.add("IsNaN", [value], f"{prefix}/missing.{level}")
    below = builder.add("LessOrEqual", [value, gather("threshold")], f"{prefix}/below.{level}")
    side = builder.add("Cast", [gather("missing_left")], f"{prefix}/side.{level}", to=TensorProto.BOOL)
    default = builder.add("And", [missing, side], f"{prefix}/default.{level}")
    left = builder.add("Or", [below, default], f"{prefix}/goes_left.{level}")
    return builder.add("Where", [left, gather("left"), gather("right")], f"{prefix}/node.{level}")


def _add_up(builder: Builder, trees: Trees, node: str, prefix: str) -> None:
    leaf_values = builder.add("Gather", [f"{prefix}/values", node], f"{prefix}/leaf_values", axis=0)
    axes = builder.constant(f"{prefix}/axes", np.array([1], np.int64))
    total = builder.add("ReduceSum", [leaf_values, axes], f"{prefix}/total", keepdims=0)
    divisor = builder.constant(f"{prefix}/divisor", np.float32(trees.divisor))
    mean = builder.add("Div", [total, divisor], f"{prefix}/mean")
    builder.add("Add", [mean, builder.constant(f"{prefix}/base", trees.base)], prefix)
