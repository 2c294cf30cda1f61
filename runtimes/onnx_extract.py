"""Take ONNX graphs apart and put them together: `extract` a part between two sets of values, `merge` graphs end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import onnx
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper, shape_inference, version_converter

from ..sdk.core.errors import FormatError


def reads(node: NodeProto) -> list[str]:
    """The outer values that a node reads, those that its subgraphs (If, Loop, Scan) capture included."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names += free_values(graph)
    return list(dict.fromkeys(names))


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs among a node's attributes."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def free_values(graph: GraphProto) -> list[str]:
    """Values that a subgraph reads or returns and that an outer graph makes."""
    own = {value.name for value in graph.input} | {value.name for value in graph.initializer}
    own |= {tensor.values.name for tensor in graph.sparse_initializer} | {name for node in graph.node for name in node.output}
    wanted = [name for node in graph.node for name in reads(node)] + [value.name for value in graph.output]
    return [name for name in dict.fromkeys(wanted) if name and name not in own]


def extract(model: ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> ModelProto:
    """The part of a graph that computes `outputs` from `inputs`, both names of values anywhere in the graph.

    Graph inputs that the part still needs beyond `inputs` are an error, and so are names that do not exist.

    Raises:
        FormatError: a value is unknown, or `outputs` need a graph input that `inputs` does not list.
    """
    nodes = _needed(model.graph, set(inputs), outputs)
    used = {name for node in nodes for name in reads(node)} | set(outputs)
    made = {name for node in nodes for name in node.output} | set(inputs)
    constants = [tensor for tensor in model.graph.initializer if tensor.name in used and tensor.name not in inputs]
    known = made | {tensor.name for tensor in constants}
    if missing := sorted(used - known):
        raise FormatError(f"The part of the graph cannot be cut out: it needs {missing[0]!r}", got=f"inputs {list(inputs)}")
    types = value_types(model, [*inputs, *outputs])
    graph = helper.make_graph(nodes, model.graph.name, [types[name] for name in inputs], [types[name] for name in outputs], constants)
    rim = {*inputs, *outputs}
    graph.value_info.extend(value for value in model.graph.value_info if value.name in known and value.name not in rim)
    part = ModelProto()
    part.CopyFrom(_shell(model, domains(graph)))
    part.graph.CopyFrom(graph)
    return part


def domains(graph: GraphProto) -> set[str]:
    """Operator domains used in a graph and its subgraphs; the standard one is always among them."""
    own = {"" if node.domain == "ai.onnx" else node.domain for node in graph.node}
    return own.union({""}, *(domains(inner) for node in graph.node for inner in subgraphs(node)))


def value_types(model: ModelProto, names: Iterable[str]) -> dict[str, ValueInfoProto]:
    """The type of each named value; shapes are inferred where the file does not state them. Raises FormatError."""
    wanted = list(names)
    types = _stated(model)
    if any(name not in types for name in wanted):
        types = _stated(shape_inference.infer_shapes(model, data_prop=True)) | types
    if missing := [name for name in wanted if name not in types]:
        raise FormatError(f"The graph has no typed value {missing[0]!r}", expected=", ".join(sorted(types)[:20]))
    return {name: types[name] for name in wanted}


def merge(models: Sequence[ModelProto], outputs: Sequence[str], name: str = "main") -> ModelProto:
    """One graph from several that bind by value name, in order; inner names are kept apart by a prefix per graph.

    Args:
        models: each reads graph inputs of the whole or outputs of earlier ones. Graphs of an older opset are converted
            to the newest among them.
        outputs: the values that the whole returns, in order.

    Raises:
        FormatError: an opset that cannot be converted, or an unknown output.
    """
    opsets = _joint_opsets(models)
    parts = [lift(model, opsets.get("", 0)) for model in models]
    parts = [_prefixed(part, f"{index}/") for index, part in enumerate(parts)] if len(parts) > 1 else parts
    nodes = [node for part in parts for node in part.graph.node]
    made = {value.name for part in parts for value in part.graph.output}
    inputs = {value.name: value for part in reversed(parts) for value in reversed(part.graph.input) if value.name not in made}
    ordered = [name for name in dict.fromkeys(value.name for part in parts for value in part.graph.input) if name in inputs]
    types = {value.name: value for part in parts for value in part.graph.output}
    if missing := [output for output in outputs if output not in types]:
        raise FormatError(f"No part of the program makes {missing[0]!r}", expected=", ".join(types))
    graph = helper.make_graph(
        nodes, name, [inputs[value] for value in ordered], [types[output] for output in outputs],
        [tensor for part in parts for tensor in part.graph.initializer],
        value_info=_inner_info(parts, {*ordered, *outputs}),
    )  # fmt: skip
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid(*entry) for entry in sorted(opsets.items())])
    whole.ir_version = max(part.ir_version for part in parts)
    whole.producer_name = ""
    return whole


def _needed(graph: GraphProto, stop: set[str], outputs: Sequence[str]) -> list[NodeProto]:
    """Nodes between `stop` and `outputs`, in graph order."""
    wanted = set(outputs) - stop
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(name for name in reads(node) if name not in stop)
    return kept[::-1]


def _stated(model: ModelProto) -> dict[str, ValueInfoProto]:
    graph = model.graph
    constants = [helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in graph.initializer]
    known = [*constants, *graph.value_info, *graph.input, *graph.output]
    return {value.name: value for value in known if value.type.WhichOneof("value") is not None}


def _shell(model: ModelProto, used: set[str]) -> ModelProto:
    """The model without its graph: versions, opsets of the domains used, local functions."""
    shell = ModelProto()
    shell.ir_version, shell.producer_name = model.ir_version, model.producer_name
    kept = used | {"ai.onnx"} | {entry.domain for entry in model.opset_import if model.functions}
    shell.opset_import.extend(entry for entry in model.opset_import if entry.domain in kept)
    shell.functions.extend(model.functions)
    return shell


def opset(model: ModelProto) -> int:
    """The version of the standard operators that a model is written in."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _joint_opsets(models: Sequence[ModelProto]) -> dict[str, int]:
    versions: dict[str, int] = {}
    for entry in (entry for model in models for entry in model.opset_import):
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        versions[domain] = max(versions.get(domain, 0), entry.version)
    return versions


def lift(model: ModelProto, target: int) -> ModelProto:
    """The model written in opset `target` (or newer, if it already is). Raises FormatError where onnx has no conversion."""
    standard = [node for node in model.graph.node if node.domain in ("", "ai.onnx")]
    if opset(model) >= target or not standard:
        return model
    try:
        return version_converter.convert_version(model, target)
    except RuntimeError as error:
        raise FormatError(f"The graph cannot be converted to opset {target}: {error}", got=f"opset {opset(model)}",
                          fix=f"Export the model at opset {target} or later.") from error  # fmt: skip


def _prefixed(model: ModelProto, prefix: str) -> ModelProto:
    """A copy whose inner values and nodes carry a prefix; inputs and outputs keep their names."""
    rim = {value.name for value in (*model.graph.input, *model.graph.output)}
    copy = ModelProto()
    copy.CopyFrom(model)
    rename_graph(copy.graph, lambda name: name if name in rim else prefix + name)
    for index, node in enumerate(copy.graph.node):
        node.name = prefix + (node.name or f"{node.op_type}:{index}")
    return copy


def _inner_info(parts: Sequence[ModelProto], rim: set[str]) -> list[ValueInfoProto]:
    values = [value for part in parts for value in (*part.graph.value_info, *part.graph.output)]
    return list({value.name: value for value in values if value.name not in rim}.values())


def rename_graph(graph: GraphProto, rename: Callable[[str], str]) -> None:
    """Rename every value of a graph and of its subgraphs, in place."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = rename(value.name)
    for tensor in graph.sparse_initializer:
        tensor.values.name = rename(tensor.values.name)
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [rename(name) if name else "" for name in names]
        for inner in subgraphs(node):
            rename_graph(inner, rename)
