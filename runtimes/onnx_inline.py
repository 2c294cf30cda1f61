"""Put a whole ONNX model in the place of one opaque node, or casts at a model's rim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from onnx import ModelProto, NodeProto, helper, inliner

from ..sdk.core.errors import FormatError
from .onnx_extract import lift, opset, rename_graph, subgraphs
from .onnx_split import DOMAIN


def inline(model: ModelProto, graphs: Mapping[str, ModelProto], op: str = "Onnx") -> ModelProto:
    """A copy of `model` in which every node `portside.<op>` is replaced by the graph of its handle.

    Args:
        model: holds nodes `portside.<op>` whose inputs and outputs are those of the graph, by position.
        graphs: handle -> standalone model. Those of an older opset are converted to that of `model`.

    Raises:
        FormatError: a graph cannot be converted, or its opset is newer than that of `model`.
    """
    whole = ModelProto()
    whole.CopyFrom(model)
    nodes: list[NodeProto] = []
    for index, node in enumerate(model.graph.node):
        if node.domain == DOMAIN and node.op_type == op:
            handle = next(attribute.s.decode() for attribute in node.attribute if attribute.name == "handle")
            nodes += _spliced(whole, graphs[handle], node, f"{op}{index}/")
        else:
            nodes.append(node)
    del whole.graph.node[:]
    whole.graph.node.extend(nodes)
    kept = [entry for entry in whole.opset_import if entry.domain != DOMAIN or any(node.domain == DOMAIN for node in nodes)]
    del whole.opset_import[:]
    whole.opset_import.extend(kept)
    return whole


def _spliced(whole: ModelProto, graph: ModelProto, node: NodeProto, prefix: str) -> list[NodeProto]:
    """The nodes that stand for `node`; weights and operator domains are added to `whole`."""
    part = standalone(graph, opset(whole))
    names = dict(zip((value.name for value in part.graph.input), node.input, strict=True))
    made = {value.name: name for value, name in zip(part.graph.output, node.output, strict=True) if name}
    copies = [helper.make_node("Identity", [names.get(old, prefix + old)], [new]) for old, new in made.items() if _is_given(part, old)]
    made = {old: new for old, new in made.items() if not _is_given(part, old)}
    rename_graph(part.graph, lambda name: names.get(name) or made.get(name) or prefix + name)
    whole.graph.initializer.extend(part.graph.initializer)
    whole.graph.sparse_initializer.extend(part.graph.sparse_initializer)
    known = {entry.domain for entry in whole.opset_import}
    whole.opset_import.extend(entry for entry in part.opset_import if entry.domain not in known and entry.domain != "ai.onnx")
    whole.ir_version = max(whole.ir_version, part.ir_version)
    return [*part.graph.node, *copies]


def _is_given(part: ModelProto, name: str) -> bool:
    """True for an output that is an input or a constant of the graph."""
    return any(value.name == name for value in (*part.graph.input, *part.graph.initializer))


def standalone(model: ModelProto, target: int = 0) -> ModelProto:
    """A copy ready to be spliced: no local functions, no defaults among the inputs, opset `target`, no inner types."""
    copy = ModelProto()
    copy.CopyFrom(model)
    copy = inliner.inline_local_functions(copy) if copy.functions else copy
    if target and opset(copy) > target:
        raise FormatError("An ONNX model is written in a newer opset than the graph around it", got=opset(copy), expected=target)
    copy = lift(copy, target)
    constants = {tensor.name for tensor in copy.graph.initializer}
    inputs = [value for value in copy.graph.input if value.name not in constants]
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    forget_types(copy)
    return copy


def forget_types(model: ModelProto) -> None:
    """Drop the types of inner values, whose symbols a third party chose; they can be inferred again."""
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        graph.ClearField("value_info")
        graphs += [inner for node in graph.node for inner in subgraphs(node)]


def cast_rim(model: ModelProto, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    """Give graph inputs and outputs these element types, in place; a Cast stands behind each that changes."""
    graph = model.graph
    front: list[NodeProto] = []
    for value, wanted in zip(graph.input, inputs, strict=True):
        held = value.type.tensor_type.elem_type
        if held != wanted:
            inner, value.name = value.name, f"{value.name}::rim"
            front.append(helper.make_node("Cast", [value.name], [inner], to=held))
            value.type.tensor_type.elem_type = wanted
    nodes = [*front, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for value, wanted in zip(graph.output, outputs, strict=True):
        if value.type.tensor_type.elem_type != wanted:
            inner, value.name = value.name, f"{value.name}::rim"
            graph.node.append(helper.make_node("Cast", [inner], [value.name], to=wanted))
            value.type.tensor_type.elem_type = wanted


def set_shapes(model: ModelProto, shape: Callable[[str], Sequence[int | str]]) -> None:
    """State the shape of every graph input and output, in place."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.ClearField("dim")
        for dim in shape(value.name):
            value.type.tensor_type.shape.dim.add(**({"dim_param": dim} if isinstance(dim, str) else {"dim_value": dim}))
