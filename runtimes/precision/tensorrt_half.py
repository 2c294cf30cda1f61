"""float16 and int4 as TensorRT computes them: a network is strongly typed, so the dtype of every product is written in the graph.

- float16: a product reads its activation and weight in float16 and its result is widened behind it. What only moves values, and Relu
  and Clip, stay in float16 between two such products, so that nothing is widened on the way.
- int4-weights: a DequantizeLinear in blocks of 32 in front of the product, for size.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ...sdk.core.signature import Array
from .onnx_nodes import ACTIVATIONS, MOVING, PRODUCTS, WEIGHTED, Graph, attribute, fresh, node_of, rebuilt, tensor, value_names

BLOCK = 32
_PASSING = (*ACTIVATIONS, *(kind for kind in MOVING if kind != "Resize"))
_HALF_MAX = float(np.finfo(np.float16).max)


@dataclass
class _Half:
    """One lowering under way; `halves`: value -> its float16 twin."""

    graph: Graph
    names: Collection[str]
    taken: set[str]
    tensors: list[TensorProto] = field(default_factory=list[TensorProto])
    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    halves: dict[str, str] = field(default_factory=dict[str, str])


def lower_half(graph: Graph, names: Collection[str]) -> ModelProto:
    """The model with these nodes (products, convolutions, lookups) computed in float16."""
    work = _Half(graph, names, value_names(graph.model))
    for node in graph.nodes:
        if node.name in names:
            _computed(work, node)
        elif node.op_type in _PASSING and node.input[0] in work.halves and len(node.output) == 1:
            _passed(work, node)
        else:
            work.nodes.append(node)
    return rebuilt(graph.model, _needed(graph, work.nodes), work.tensors)


def lower_blocks(graph: Graph, names: Collection[str]) -> tuple[ModelProto, dict[str, str]]:
    """The model with the weights of these products in int4, and node -> why for those that stayed float. Opset 21 or later."""
    kept, nodes, tensors, taken = dict[str, str](), list[NodeProto](), list[TensorProto](), value_names(graph.model)
    for node in graph.nodes:
        matrix = _matrix(graph, node) if node.name in names and node.op_type in PRODUCTS else None
        if matrix is None or len(matrix) % BLOCK:
            kept |= {node.name: f"its weight has no whole blocks of {BLOCK}"} if node.name in names else {}
            nodes.append(node)
            continue
        codes, scale = block_codes(matrix)
        held, factor, wide = (fresh(taken, f"{node.input[1]}.{kind}") for kind in ("int4", "scale", "wide"))
        tensors += [helper.make_tensor(held, TensorProto.INT4, codes.shape, codes.reshape(-1)), tensor(factor, scale)]
        nodes.append(node_of("DequantizeLinear", (held, factor), (wide,), wide, axis=0, block_size=BLOCK))
        bias = node.input[2] if len(node.input) > 2 else ""
        product = fresh(taken, f"{node.output[0]}.product") if bias else node.output[0]
        nodes.append(node_of("MatMul", (node.input[0], wide), (product,), f"{node.name}/product" if bias else node.name))
        nodes += [node_of("Add", (product, bias), node.output, node.name)] if bias else []
    return rebuilt(graph.model, nodes, tensors), kept


def block_codes(weight: Array) -> tuple[Array, Array]:
    """(K, N) float32 -> int8 (K, N) of codes in [-8, 7], and float32 (K / 32, N) scales; the value of largest size in a block is exact."""
    blocks = weight.reshape(-1, BLOCK, weight.shape[1])
    furthest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    scale = np.where(furthest == 0, 1.0, furthest / -8).astype(np.float32)
    codes = np.clip(np.rint(blocks / scale), -8, 7).astype(np.int8)
    return codes.reshape(weight.shape), scale[:, 0]


def _computed(work: _Half, node: NodeProto) -> None:
    made = NodeProto()
    made.CopyFrom(node)
    floats = range(1) if node.op_type == "Gather" else range(len(node.input))
    for place in floats:
        if node.input[place]:
            made.input[place] = _half(work, node.input[place])
    _widen(work, made, node.output[0])


def _passed(work: _Half, node: NodeProto) -> None:
    made = NodeProto()
    made.CopyFrom(node)
    places = range(len(node.input)) if node.op_type == "Clip" else range(1)
    for place in places:
        if node.input[place]:
            made.input[place] = _half(work, node.input[place])
    _widen(work, made, node.output[0])


def _widen(work: _Half, made: NodeProto, value: str) -> None:
    """Append the node, its result in float16 under a name of its own, and the wide form under the old name."""
    half = fresh(work.taken, f"{value}.half")
    made.output[0] = half
    work.halves[value] = half
    work.nodes += [made, node_of("Cast", (half,), (value,), f"{value}/widen", to=TensorProto.FLOAT)]


def _half(work: _Half, name: str) -> str:
    """The float16 twin of a value or constant, made once."""
    if name in work.halves:
        return work.halves[name]
    work.halves[name] = fresh(work.taken, f"{name}.half")
    held = work.graph.constants.get(name)
    if held is None:
        work.nodes.append(node_of("Cast", (name,), (work.halves[name],), f"{name}/narrow", to=TensorProto.FLOAT16))
    else:
        values = np.clip(numpy_helper.to_array(held), -_HALF_MAX, _HALF_MAX)
        work.tensors.append(tensor(work.halves[name], values.astype(np.float16)))
    return work.halves[name]


def _needed(graph: Graph, nodes: list[NodeProto]) -> list[NodeProto]:
    """Without the casts back to float32 that nobody reads."""
    read = {name for node in nodes for name in node.input} | graph.outputs | graph.captured
    return [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]


def _matrix(graph: Graph, node: NodeProto) -> Array | None:
    """A product's weight as (K, N)."""
    weight = graph.weight(node) if node.op_type in WEIGHTED else None
    if weight is None or weight.ndim != 2:
        return None
    return np.ascontiguousarray(weight.T) if node.op_type == "Gemm" and attribute(node, "transB", 0) else weight
