"""`.tflite` files made operator by operator, for what no converter writes: outputs that are inputs, dead operators, moving memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {"f32": 0, "i32": 2, "u8": 3, "i64": 4, "bool": 6, "i8": 9, "int4": 17}


class Tensor(NamedTuple):
    """A tensor of a made file; `data` makes it a constant."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Any = None


class Operator(NamedTuple):
    """An operator by the name that the schema gives its number."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    options: Any = None


class Graph(NamedTuple):
    """A subgraph, and the signatures that call it."""

    tensors: Sequence[Tensor]
    operators: Sequence[Operator]
    inputs: Sequence[str]
    outputs: Mapping[str, str]
    keys: Sequence[str]


def file_of(graphs: Sequence[Graph]) -> bytes:
    """The file. Inputs have their tensors' names in every signature; outputs are key -> tensor."""
    model: Any = schema.ModelT()
    names = sorted({one.name for graph in graphs for one in graph.operators})
    model.version, model.description, model.buffers = 3, b"made", [schema.BufferT()]
    model.operatorCodes = [_code(name) for name in names]
    model.subgraphs = [_graph(graph, names, model.buffers) for graph in graphs]
    model.signatureDefs = [_signature(key, graph, place) for place, graph in enumerate(graphs) for key in graph.keys]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _graph(graph: Graph, names: list[str], buffers: list[Any]) -> Any:
    made: Any = schema.SubGraphT()
    places = {tensor.name: place for place, tensor in enumerate(graph.tensors)}
    made.tensors = [_tensor(tensor, buffers) for tensor in graph.tensors]
    made.inputs, made.outputs = [places[name] for name in graph.inputs], [places[name] for name in graph.outputs.values()]
    made.operators = [_operator(one, names, places) for one in graph.operators]
    return made


def _tensor(tensor: Tensor, buffers: list[Any]) -> Any:
    made: Any = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = tensor.name.encode(), list(tensor.shape), TYPES[tensor.dtype], 0
    if tensor.data is not None:
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        made.buffer = len(buffers)
        buffers.append(buffer)
    return made


def _operator(one: Operator, names: list[str], places: Mapping[str, int]) -> Any:
    made: Any = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = names.index(one.name), [places[n] for n in one.reads], [places[n] for n in one.writes]
    if one.options is not None:
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(one.options).__name__[:-1])
        made.builtinOptions = one.options
    return made


def _code(name: str) -> Any:
    made: Any = schema.OperatorCodeT()
    made.builtinCode = getattr(schema.BuiltinOperator, name)
    made.deprecatedBuiltinCode, made.version = min(made.builtinCode, 127), 1
    return made


def _signature(key: str, graph: Graph, place: int) -> Any:
    made: Any = schema.SignatureDefT()
    places = {tensor.name: place for place, tensor in enumerate(graph.tensors)}
    made.signatureKey, made.subgraphIndex = key.encode(), place
    made.inputs = [_entry(name, places[name]) for name in graph.inputs]
    made.outputs = [_entry(name, places[tensor]) for name, tensor in graph.outputs.items()]
    return made


def _entry(name: str, place: int) -> Any:
    made: Any = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), place
    return made
