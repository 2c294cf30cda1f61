"""Normalise an ONNX graph: the same model gives the same bytes from any folder, under names that a user chose.

Exporters leave absolute paths, stack traces and process-dependent names in a file, and a user's output called "cat" may
be the name of an inner value. `normalise` strips the first, renames the second, and puts the user's names at the rim.
The other operations on graphs are re-exported here: `extract`, `merge`, `split`, `pack_files`, `read_graph`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, inliner

from ..sdk.core.errors import FormatError
from .onnx_extract import extract, merge, reads, rename_graph, subgraphs
from .onnx_rewrite import rewrite
from .onnx_split import split
from .onnx_weights import TensorPart, pack_files, read_graph, read_tensors

__all__ = ["Normalised", "Rim", "TensorPart", "extract", "merge", "normalise", "pack_files", "read_graph", "read_tensors", "split"]

_SYMBOL = re.compile(r"[A-Za-z_]\w*")
_TRACE_KEY = "pkg.torch.onnx.stack_trace"
ORIGIN_KEY = "portside.origin"
"""Metadata of an exported node: the traced node that it came from."""


@dataclass(frozen=True)
class Rim:
    """The names that a graph shall have outside.

    Attributes:
        inputs: name of each graph input, in order.
        outputs: name of each of the first graph outputs, in order.
        boundaries: group ("features", "model") -> proposed names. They stand for the graph outputs that follow
            `outputs`, in order, and become inner values.
        dims: symbol in the graph -> name of the dimension.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    boundaries: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    dims: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Normalised:
    """A normalised graph.

    Attributes:
        model: checked; node names ("MatMul_7") are stable ids.
        boundaries: group -> the names that the boundaries really have (an input's or output's own name where they are it).
        traces: node name -> the exporter's stack trace of the line that made it, where there is one. Not in the file.
        origins: node name -> the traced node that it came from, where that is known. Not in the file.
    """

    model: ModelProto
    boundaries: Mapping[str, tuple[str, ...]]
    traces: Mapping[str, str]
    origins: Mapping[str, str] = field(default_factory=dict[str, str])


def normalise(model: ModelProto, rim: Rim) -> Normalised:
    """Strip, rename and check a graph; see the module's docstring. The argument is not changed.

    Raises:
        FormatError: the names do not fit the graph, or the result is not valid ONNX.
    """
    copy = _copied(model)
    _expect(copy.graph, rim)
    rewrite(copy)
    _resolve_boundaries(copy.graph, len(rim.outputs))
    _separate_outputs(copy.graph, len(rim.outputs))
    _name_nodes(copy.graph)
    traces, origins = (dict(_told(copy.graph, key)) for key in (_TRACE_KEY, ORIGIN_KEY))
    strip(copy)
    names, boundaries = _renaming(copy.graph, rim)
    rename_graph(copy.graph, lambda name: names.get(name, name))
    _demote(copy.graph, len(rim.outputs))
    _name_dims(copy.graph, rim.dims)
    try:
        onnx.checker.check_model(copy)
    except onnx.checker.ValidationError as error:
        raise FormatError(f"The graph is not valid ONNX: {error}") from error
    return Normalised(copy, boundaries, traces, origins)


def strip(model: ModelProto) -> None:
    """Remove, in place, what does not compute: paths, stack traces, documentation, producer, training info."""
    for name in ("doc_string", "producer_version", "domain", "model_version", "metadata_props", "training_info"):
        model.ClearField(name)
    model.producer_name = "portside"
    model.graph.name = "main"
    _strip_graph(model.graph)
    kept = sorted({("" if entry.domain == "ai.onnx" else entry.domain, entry.version) for entry in model.opset_import})
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in kept)


def _strip_graph(graph: GraphProto) -> None:
    things: list[object] = [graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node]
    things += [tensor for node in graph.node for tensor in _tensors(node)]
    for thing in things:
        for name in ("doc_string", "metadata_props", "quantization_annotation"):
            if name in thing.DESCRIPTOR.fields_by_name:  # type: ignore[attr-defined]
                thing.ClearField(name)  # type: ignore[attr-defined]
    for node in graph.node:
        node.ClearField("overload")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        for attribute in attributes:
            attribute.ClearField("doc_string")
        del node.attribute[:]
        node.attribute.extend(attributes)
        for inner in subgraphs(node):
            _strip_graph(inner)


def _tensors(node: NodeProto) -> Iterable[TensorProto]:
    return (attribute.t for attribute in node.attribute if attribute.type == onnx.AttributeProto.TENSOR)


def _copied(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return inliner.inline_local_functions(copy) if copy.functions else copy


def _expect(graph: GraphProto, rim: Rim) -> None:
    expected = len(rim.outputs) + sum(map(len, rim.boundaries.values()))
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != len(graph.input):
        del graph.input[:]
        graph.input.extend(inputs)
    if len(graph.input) != len(rim.inputs) or len(graph.output) != expected:
        raise FormatError(
            "The names do not fit the graph", got=f"{len(graph.input)} inputs and {len(graph.output)} outputs in the graph",
            expected=f"{len(rim.inputs)} and {expected}",
        )  # fmt: skip


def _resolve_boundaries(graph: GraphProto, count: int) -> None:
    """Let a boundary that is the copy (Identity) of a value be that value, so that the rest of the graph reads it."""
    copies = {node.output[0]: node for node in graph.node if node.op_type == "Identity"}
    kept = {value.name for value in graph.output[:count]} | {name for node in graph.node for name in reads(node)}
    types = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    for value in graph.output[count:]:
        while value.name in copies and value.name not in kept and copies[value.name].input[0] in types:
            node = copies[value.name]
            value.CopyFrom(types[node.input[0]])
            graph.node.remove(node)


def _separate_outputs(graph: GraphProto, count: int) -> None:
    """Give each of the first `count` outputs a value of its own: an Identity where it is an input, a constant or repeated."""
    taken = {value.name for value in (*graph.input, *graph.initializer)}
    for index, value in enumerate(graph.output[:count]):
        if value.name in taken:
            graph.node.append(helper.make_node("Identity", [value.name], [fresh := f"{value.name}::{index}"]))
            value.name = fresh
        taken.add(value.name)


def _name_nodes(graph: GraphProto, prefix: str = "") -> None:
    """Name every node by operator and position, subgraphs below their node."""
    for index, node in enumerate(graph.node):
        node.name = f"{prefix}{node.op_type}_{index}"
        for inner in subgraphs(node):
            _name_nodes(inner, f"{node.name}/")


def _told(graph: GraphProto, key: str) -> Iterable[tuple[str, str]]:
    """Node name and what its metadata says under this key."""
    for node in graph.node:
        yield from ((node.name, entry.value) for entry in node.metadata_props if entry.key == key)
        for inner in subgraphs(node):
            yield from _told(inner, key)


def _renaming(graph: GraphProto, rim: Rim) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Old value name -> new one, and the boundaries' final names."""
    names = dict(zip((value.name for value in graph.input), rim.inputs, strict=True))
    names |= dict(zip((value.name for value in graph.output[: len(rim.outputs)]), rim.outputs, strict=True))
    if len(set(names.values())) != len(names):
        raise FormatError("An output has the name of an input, or two tensors have the same name", got=sorted(names.values()))
    taken = set(names.values())
    boundaries: dict[str, tuple[str, ...]] = {}
    rest = iter(graph.output[len(rim.outputs) :])
    for group, proposed in rim.boundaries.items():
        for wish in proposed:
            names.setdefault(next(rest).name, _fresh(wish, taken))
        start = len(rim.outputs) + sum(len(rim.boundaries[key]) for key in boundaries)
        held = graph.output[start : start + len(proposed)]
        boundaries[group] = tuple(names[value.name] for value in held)
    for old, wish in _wishes(graph):
        if old not in names:
            names[old] = _fresh(wish, taken)
    return names, boundaries


def _wishes(graph: GraphProto) -> Iterable[tuple[str, str]]:
    """Inner values in a fixed order with the names that they shall have: weights keep theirs, results are numbered."""
    yield from ((tensor.name, f"w/{tensor.name}") for tensor in graph.initializer)
    for node in graph.node:
        for position, old in enumerate(node.output):
            if old:
                yield old, f"v/{node.name}" + (f".{position}" if position else "")
        for inner in subgraphs(node):
            yield from ((value.name, f"v/{node.name}/{value.name}") for value in inner.input)
            yield from _wishes(inner)


def _fresh(wish: str, taken: set[str]) -> str:
    while wish in taken:
        wish += "_"
    taken.add(wish)
    return wish


def _demote(graph: GraphProto, count: int) -> None:
    """Turn all outputs after the first `count` into inner values whose type is kept."""
    known = {value.name for value in (*graph.input, *graph.output[:count], *graph.initializer)}
    for value in graph.output[count:]:
        if value.name not in known:
            known.add(value.name)
            kept = [other for other in graph.value_info if other.name != value.name]
            del graph.value_info[:]
            graph.value_info.extend([*kept, value])
    del graph.output[count:]


def _name_dims(graph: GraphProto, dims: Mapping[str, str]) -> None:
    """Rename symbols in shapes; those without a name become "d0", "d1", ... in order of appearance."""
    known = dict(dims)

    def name(match: re.Match[str]) -> str:
        return known.setdefault(match[0], f"d{len(known) - len(dims)}")

    for value in _typed(graph):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = rename_symbols(dim.dim_param, name)


def rename_symbols(expression: str, name: Callable[[re.Match[str]], str]) -> str:
    """A symbolic dimension such as "s40 + 1" with its symbols renamed; a plain odd name ("batch size") is one symbol."""
    if not re.fullmatch(r"[\w\s+*/()%,.-]+", expression):
        return expression
    return _SYMBOL.sub(name, expression)


def _typed(graph: GraphProto) -> Iterable[ValueInfoProto]:
    yield from (*graph.input, *graph.output, *graph.value_info)
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _typed(inner)
