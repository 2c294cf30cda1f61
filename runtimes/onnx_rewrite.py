"""Rewrites of standard operators that ONNX Runtime's CPU provider lacks into ones that it has, with the same result."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from .onnx_extract import subgraphs


def rewrite(model: ModelProto) -> None:
    """Apply all rewrites to a graph and its subgraphs, in place. Values need types where a rewrite depends on them."""
    _hoist_constants(model.graph)
    _rewrite_graph(model.graph, {})


def _hoist_constants(graph: GraphProto) -> None:
    """Turn Constant nodes with a tensor into initializers: that is where weights are looked for."""
    kept: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.attribute[0].name == "value":
            graph.initializer.append(node.attribute[0].t)
            graph.initializer[-1].name = node.output[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _rewrite_graph(graph: GraphProto, outer: dict[str, int]) -> None:
    types = outer | _types(graph)
    nodes = [new for node in graph.node for new in _bool_where(node, types)]
    del graph.node[:]
    graph.node.extend(nodes)
    for node in graph.node:
        for inner in subgraphs(node):
            _rewrite_graph(inner, types)


def _bool_where(node: NodeProto, types: dict[str, int]) -> Iterator[NodeProto]:
    """Where(c, a, b) on bools is (c and a) or (not c and b); ONNX Runtime has no Where for them."""
    if node.op_type != "Where" or node.domain not in ("", "ai.onnx") or types.get(node.output[0]) != TensorProto.BOOL:
        yield node
        return
    condition, yes, no = node.input
    out = node.output[0]
    for op, inputs, output in (
        ("And", [condition, yes], f"{out}::yes"),
        ("Not", [condition], f"{out}::not"),
        ("And", [f"{out}::not", no], f"{out}::no"),
        ("Or", [f"{out}::yes", f"{out}::no"], out),
    ):
        new = helper.make_node(op, inputs, [output])
        new.metadata_props.extend(node.metadata_props)
        yield new


def _types(graph: GraphProto) -> dict[str, int]:
    stated = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input, *graph.output)}
    return stated | {tensor.name: tensor.data_type for tensor in graph.initializer}
