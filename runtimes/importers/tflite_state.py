"""Lift a `.tflite` file's hidden memory into inputs and outputs, so that who calls it holds the state.

A streaming model keeps resource variables inside its interpreter: one caller's frames would reach the next caller's answer.
Reads of a variable become a graph input, the last assignment becomes a graph output, and what the init subgraph assigns is the
initial value. Weights, operators and their order stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ...sdk.core.errors import FormatError, UnsupportedError
from ...sdk.core.signature import Array

IDENTIFIER = b"TFL3"
DAMAGE = (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a damaged file raises: offsets, lengths, indices and names in it may be anything."""
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_DTYPES: dict[int, Any] = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32, schema.TensorType.INT8: np.int8,
           schema.TensorType.UINT8: np.uint8, schema.TensorType.BOOL: np.bool_, schema.TensorType.INT64: np.int64,
           schema.TensorType.INT16: np.int16}  # fmt: skip
_INNER = ("IF", "WHILE", "CALL", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE", "STABLEHLO_CASE")


@dataclass(frozen=True, eq=False)
class Memory:
    """One variable that became explicit.

    Attributes:
        input: name of the graph input that takes its value.
        output: name of the graph output that gives its next value.
        initial: before the first call, in the variable's own dtype and shape.
    """

    input: str
    output: str
    initial: Array


@dataclass(frozen=True, eq=False)
class Lifted:
    """A file without hidden memory.

    Attributes:
        data: the file; the very bytes that came in where it had no memory.
        memories: what became explicit, in order of the new inputs, which stand behind the file's own.
    """

    data: bytes
    memories: tuple[Memory, ...]


def lift(data: bytes) -> Lifted:
    """The file with its resource variables as inputs and outputs.

    Raises:
        FormatError: not a `.tflite` file.
        UnsupportedError: memory that cannot be lifted: it is computed at start, or used inside of a loop or branch.
    """
    model = read_model(data)
    try:
        return _lifted(data, model)
    except DAMAGE as error:  # tensors, buffers or variables that are not there
        raise FormatError(f"The .tflite file is damaged: {error!r}") from error


def _lifted(data: bytes, model: Any) -> Lifted:
    operators = [operator_name(model, op) for op in model.subgraphs[0].operators]
    if "VAR_HANDLE" not in operators:
        return Lifted(data, ())
    if len(model.signatureDefs or ()) > 1:
        raise UnsupportedError("A .tflite file with memory has several signatures", got=len(model.signatureDefs), expected="one")
    if inner := [name for name in operators if name in _INNER]:
        raise UnsupportedError("A .tflite file with memory has loops or branches, whose memory cannot be seen", got=inner[0])
    first = initial_values(model)
    memories = _explicit(model, first)
    del model.subgraphs[1:]
    return Lifted(write_model(model), memories)


def read_model(data: bytes) -> Any:
    """The file as objects (`ModelT`). Raises FormatError."""
    if data[4:8] != IDENTIFIER:
        raise FormatError("This is not a .tflite file", got=ascii(data[4:8]), expected=ascii(IDENTIFIER))
    try:
        model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
        missing = [place for graph in model.subgraphs or () for place in _missing(graph)]
    except DAMAGE as error:
        raise FormatError(f"The .tflite file is damaged: {error}") from error
    if not model.subgraphs or not model.operatorCodes or not model.buffers:
        raise FormatError("The .tflite file holds no graph")
    if missing:
        raise FormatError("The .tflite file is damaged: a graph names a tensor that it does not have", got=missing[0])
    return model


def _missing(graph: Any) -> Iterator[int]:
    """Tensors that a graph reads or writes and does not have: the interpreter ends the process over some of them.

    Only an operator's input may be -1, which says that it is left out.
    """
    operators = graph.operators or ()
    always = [graph.inputs, graph.outputs, *(operator.outputs for operator in operators)]
    for least, lists in ((0, always), (-1, [operator.inputs for operator in operators])):
        yield from (int(place) for places in lists for place in _places(places) if not least <= place < len(graph.tensors))


def write_model(model: Any) -> bytes:
    """The objects as a file; the same bytes for the same objects."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def operator_name(model: Any, operator: Any) -> str:
    """The name of an operator; codes above 127 stand in a second field."""
    code = model.operatorCodes[operator.opcodeIndex]
    return _OPERATORS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")


def initial_values(model: Any) -> dict[bytes, Array]:
    """Variable -> what the subgraphs that run once assign to it. Raises UnsupportedError where they compute."""
    found: dict[bytes, Array] = {}
    for operator in model.subgraphs[0].operators:
        if operator_name(model, operator) == "CALL_ONCE":
            found |= _assigned(model, model.subgraphs[operator.builtinOptions.initSubgraphIndex])
    return found


def _assigned(model: Any, graph: Any) -> dict[bytes, Array]:
    handles: dict[int, bytes] = {}
    values: dict[bytes, Array] = {}
    for operator in graph.operators:
        kind = operator_name(model, operator)
        if kind == "VAR_HANDLE":
            handles[int(operator.outputs[0])] = _variable(operator)
        elif kind == "ASSIGN_VARIABLE":
            values[handles[int(operator.inputs[0])]] = constant(model, graph.tensors[operator.inputs[1]])
        else:
            raise UnsupportedError("A .tflite file computes the start of its memory", got=kind, expected="constants")
    return values


def constant(model: Any, tensor: Any) -> Array:
    """The value of a constant tensor. Raises UnsupportedError for one that is computed or of a dtype that no package holds."""
    data = model.buffers[tensor.buffer].data
    dtype = _DTYPES.get(tensor.type)
    if data is None or dtype is None:
        raise UnsupportedError("A .tflite file starts its memory with something that is not a plain constant", got=name_of(tensor))
    shape = tuple(int(size) for size in (() if tensor.shape is None else tensor.shape))
    raw = np.asarray(data, np.uint8).tobytes()
    if len(raw) != int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize:
        raise FormatError("A constant of the .tflite file has another size than its shape", got=len(raw), expected=shape)
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def name_of(tensor: Any) -> str:
    """A tensor's name as text."""
    return (tensor.name or b"").decode("utf-8", "replace")


def _variable(operator: Any) -> bytes:
    options = operator.builtinOptions
    return (options.container or b"") + b"|" + (options.sharedName or b"")


def _explicit(model: Any, first: Mapping[bytes, Array]) -> tuple[Memory, ...]:
    """Take the variables' operators out of the main graph; reads and assignments become tensors at its rim."""
    graph = model.subgraphs[0]
    walk = _Walk(model, graph)
    graph.operators = [operator for operator in graph.operators if walk.keeps(operator)]
    _check(walk, first, graph)
    graph.outputs = [walk.alias.get(int(place), int(place)) for place in graph.outputs]
    memories: list[Memory] = []
    for variable, source in walk.source.items():
        label = variable.split(b"|", 1)[1].decode("utf-8", "replace").replace("/", "_")
        memory = Memory(label, f"{label}_next", first[variable])
        _add(model, graph, memory, source, walk.current[variable])
        memories.append(memory)
    return tuple(memories)


class _Walk:
    """The main graph's operators in order: which tensor holds each variable by now."""

    def __init__(self, model: Any, graph: Any) -> None:
        self.model, self.graph = model, graph
        self.handles: dict[int, bytes] = {}
        self.source: dict[bytes, int] = {}  # variable -> the tensor that becomes its input: what the first read wrote
        self.current: dict[bytes, int] = {}
        self.alias: dict[int, int] = {}
        self.made: set[int] = set()

    def keeps(self, operator: Any) -> bool:
        """True where the operator stays; its inputs then name tensors that are still written."""
        kind = operator_name(self.model, operator)
        if kind == "VAR_HANDLE":
            self.handles[int(operator.outputs[0])] = _variable(operator)
        elif kind == "READ_VARIABLE":
            self._read(self.handles[int(operator.inputs[0])], int(operator.outputs[0]))
        elif kind == "ASSIGN_VARIABLE":
            place = int(operator.inputs[1])
            self.current[self.handles[int(operator.inputs[0])]] = self.alias.get(place, place)
        elif kind != "CALL_ONCE":
            operator.inputs = [self.alias.get(int(place), int(place)) for place in _places(operator.inputs)]
            self.made |= {int(place) for place in _places(operator.outputs)}
            return True
        return False

    def _read(self, variable: bytes, written: int) -> None:
        if variable not in self.current:
            self.source[variable] = self.current[variable] = written
        else:
            self.alias[written] = self.current[variable]


def _places(tensors: Sequence[int] | None) -> Sequence[int]:
    return () if tensors is None else tensors


def _check(walk: _Walk, first: Mapping[bytes, Array], graph: Any) -> None:
    outputs = {int(place) for place in graph.outputs}
    taken: set[int] = set()
    for variable, source in walk.source.items():
        held, name = walk.current[variable], variable.split(b"|", 1)[1].decode("utf-8", "replace")
        if variable not in first:
            raise UnsupportedError("A variable of the .tflite file has no initial value", got=name)
        if held not in walk.made or held in outputs or held in taken:
            raise UnsupportedError("A variable of the .tflite file is not given a value of its own at each call", got=name)
        shape = tuple(int(size) for size in graph.tensors[source].shape)
        if first[variable].shape != shape or _DTYPES.get(graph.tensors[source].type) != first[variable].dtype:
            raise UnsupportedError("A variable of the .tflite file starts in another shape or dtype than it is read in", got=name)
        taken.add(held)


def _add(model: Any, graph: Any, memory: Memory, source: int, held: int) -> None:
    names = {memory.input: source, memory.output: held}
    if taken := [name for place, tensor in enumerate(graph.tensors) if (name := name_of(tensor)) in names and place not in names.values()]:
        raise UnsupportedError("A variable and a tensor of the .tflite file have the same name", got=taken[0])
    for name, place in names.items():
        graph.tensors[place].name = name.encode()
    graph.inputs, graph.outputs = [*map(int, graph.inputs), source], [*graph.outputs, held]
    for signature in model.signatureDefs or ():
        signature.inputs = [*(signature.inputs or ()), _entry(memory.input, source)]
        signature.outputs = [*(signature.outputs or ()), _entry(memory.output, held)]


def _entry(name: str, place: int) -> Any:
    entry: Any = schema.TensorMapT()  # its stub says text, its reader makes bytes
    entry.name, entry.tensorIndex = name.encode(), place
    return entry
