"""Tree ensembles as `ai.onnx.ml` TreeEnsembleRegressor, for engines that have it (ONNX Runtime).

Numeric nodes become BRANCH_LEQ nodes with the very float32 thresholds of the IR. Category nodes become LEQ nodes on
indicator columns that are looked up in front of the ensemble: one column per distinct (column, set, missing side), 0 where
the row goes left. The ensemble then has one kind of node, which is ONNX Runtime's fast path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..sdk.core.signature import Array
from .trees import LEAF, Trees

OPSET, ML_OPSET, IR_VERSION = 18, 3, 10


@dataclass(frozen=True)
class Indicators:
    """The indicator columns of one category column.

    Attributes:
        column: the column of `x` that holds the code.
        table: (2 + codes, indicators) float32, 0 where the row goes left. First row: missing; last row: any higher code.
    """

    column: int
    table: Array


def without_categories(trees: Trees) -> tuple[Trees, list[Indicators]]:
    """The same ensemble on `x` followed by indicator columns, with numeric nodes alone."""
    nodes = np.flatnonzero(trees.bitset >= 0)
    if not len(nodes):
        return trees, []
    keys = np.stack([trees.feature[nodes], trees.bitset[nodes], trees.missing_left[nodes]], axis=1)
    distinct, position = np.unique(keys, axis=0, return_inverse=True)
    feature, threshold = trees.feature.copy(), trees.threshold.copy()
    feature[nodes], threshold[nodes] = trees.columns + position.reshape(-1), 0.5
    groups = [distinct[distinct[:, 0] == column] for column in np.unique(distinct[:, 0])]
    indicators = [Indicators(int(group[0, 0]), _table(trees.bitsets[group[:, 1]], group[:, 2])) for group in groups]
    bitset = np.full_like(trees.bitset, -1)
    columns = trees.columns + len(distinct)
    return replace(trees, columns=columns, feature=feature, threshold=threshold, bitset=bitset), indicators


def _table(bitsets: Array, missing_left: Array) -> Array:
    """Rows: missing, code 0, 1, ... up to the highest code in any set, any other code."""
    bits = np.unpackbits(np.ascontiguousarray(bitsets).view(np.uint8), axis=1, bitorder="little")
    codes = int(np.max(np.flatnonzero(bits.any(axis=0)), initial=-1)) + 1
    known = 1 - bits[:, :codes].T.astype(np.float32)
    missing = 1 - missing_left[None].astype(np.float32)
    return np.concatenate([missing, known, np.ones_like(missing)])


class Builder:
    """A graph under construction: nodes, and constants as initializers."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: Array | np.generic) -> str:
        """An initializer; returns its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node with one output; returns the output's name."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def model(self, trees: Trees, source: str, result: str, ml: bool) -> ModelProto:
        """The finished model: `source` (batch, columns) -> `result` (batch, outputs)."""
        inputs = [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch", trees.columns])]
        outputs = [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", trees.outputs])]
        graph = helper.make_graph(self.nodes, "trees", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid("ai.onnx.ml", ML_OPSET)] if ml else [])
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def widen(builder: Builder, indicators: list[Indicators], source: str, prefix: str) -> str:
    """Nodes that append the indicator columns to `source`; returns the name of the wider matrix."""
    if not indicators:
        return source
    columns = builder.constant(f"{prefix}/columns", np.array([item.column for item in indicators], np.int64))
    last = builder.constant(f"{prefix}/last", np.array([len(item.table) - 2 for item in indicators], np.float32))
    zero, unknown = builder.constant(f"{prefix}/zero", np.float32(0)), builder.constant(f"{prefix}/minus_one", np.float32(-1))
    one = builder.constant(f"{prefix}/one", np.int64(1))
    codes = builder.add("Gather", [source, columns], f"{prefix}/codes", axis=1)
    known = builder.add("GreaterOrEqual", [codes, zero], f"{prefix}/known")  # false for NaN
    capped = builder.add("Min", [builder.add("Where", [known, codes, unknown], f"{prefix}/safe"), last], f"{prefix}/capped")
    whole = builder.add("Cast", [capped], f"{prefix}/whole", to=TensorProto.INT64)
    rows = builder.add("Add", [whole, one], f"{prefix}/rows")
    parts = [source]
    for index, item in enumerate(indicators):
        at = builder.constant(f"{prefix}/at.{index}", np.int64(index))
        table = builder.constant(f"{prefix}/table.{index}", item.table)
        row = builder.add("Gather", [rows, at], f"{prefix}/row.{index}", axis=1)
        parts.append(builder.add("Gather", [table, row], f"{prefix}/indicator.{index}", axis=0))
    return builder.add("Concat", parts, f"{prefix}/wide", axis=1)


def to_onnx(trees: Trees, source: str = "features", result: str = "scores") -> ModelProto:
    """The ensemble as a model `source` (batch, columns) float32 -> `result` (batch, outputs) float32.

    Inner names start with `result` and a slash. Contributions are added in float32, in the order of the trees.
    """
    numeric, indicators = without_categories(trees)
    builder = Builder()
    wide = widen(builder, indicators, source, result)
    builder.add("TreeEnsembleRegressor", [wide], result, domain="ai.onnx.ml", **_attributes(numeric))
    return builder.model(trees, source, result, ml=True)


def _attributes(trees: Trees) -> dict[str, Any]:
    tree, leaf = trees.tree_of, trees.feature == LEAF
    local = np.arange(len(tree)) - trees.roots[tree]
    base = {"base_values": trees.base.tolist()} if np.any(trees.base) else {}
    return {
        "n_targets": trees.outputs, "aggregate_function": "AVERAGE" if trees.aggregate == "mean" else "SUM", "post_transform": "NONE",
        "nodes_treeids": tree.tolist(), "nodes_nodeids": local.tolist(), "nodes_featureids": np.where(leaf, 0, trees.feature).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(), "nodes_values": np.where(leaf, 0, trees.threshold).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, trees.left - trees.roots[tree]).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, trees.right - trees.roots[tree]).tolist(),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, trees.missing_left).tolist(),
        **_targets(trees, tree, local, np.flatnonzero(leaf)), **base,
    }  # fmt: skip


def _targets(trees: Trees, tree: Array, local: Array, leaves: Array) -> dict[str, Any]:
    """One weight per leaf and output that it adds to; zeros are left out, but for the first tree's.

    ONNX Runtime leaves `base_values` off outputs that a row's leaves never mention, so the first tree mentions all.
    """
    values = trees.values[trees.left[leaves]]
    kept = values != 0
    kept[:, 0] = True
    leaf, place = np.nonzero(kept)
    weights, output = values[leaf, place], trees.offsets[tree[leaves[leaf]]] + place
    first = np.flatnonzero(tree[leaves] == 0) if trees.outputs > 1 else np.zeros(0, np.int64)
    spare = np.tile(np.arange(trees.outputs), len(first))
    node = leaves[np.concatenate([leaf, np.repeat(first, trees.outputs)])]
    return {
        "target_treeids": tree[node].tolist(), "target_nodeids": local[node].tolist(),
        "target_ids": np.concatenate([output, spare]).tolist(),
        "target_weights": np.concatenate([weights, np.zeros(len(spare), np.float32)]).tolist(),
    }  # fmt: skip
