"""An ONNX graph as precision sees it: which nodes lie between features and the model's end, and which class each can take.

What an engine runs fast decides, not what a format allows: int8 convolutions need quantized neighbours, dynamic int8 pays in
matrix products alone, an embedding's rows are looked up in whatever they are stored in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ...sdk.core.errors import FormatError
from ...sdk.core.plan import Precision
from ...sdk.core.signature import Array
from ..onnx_extract import reads

PRODUCTS = ("Gemm", "MatMul")
WEIGHTED = ("Conv", *PRODUCTS)
ACTIVATIONS = ("Relu", "Clip")
JOINING = ("Add", "Concat", "GlobalAveragePool", "AveragePool")
"""Operators without weights that engines compute in int8 where their inputs are int8."""
MOVING = ("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Resize", "Slice", "Split", "DepthToSpace")
"""Operators that change no value (a Resize: to the nearest): int8 passes through with the same scale."""
ELSEWHERE = ("AveragePool", "Concat", "GlobalAveragePool", "HardSwish", "MaxPool", "Mul", "Pad", "ReduceMean", "Relu", "Resize", "Sigmoid",
             "Slice", "Split")  # fmt: skip
"""Operators that other engines compute in int8 between int8 nodes, whatever ONNX Runtime does: calibration looks at what they make."""
SMALL = 1024
"""Elements; smaller weights are not worth a class of their own."""


class Graph:
    """A model's main graph with its constants, producers and readers.

    Args:
        model: one stage, weights inside.
        start: values where features end; empty: the graph's inputs.
        end: values where the model ends; empty: the graph's outputs.
    """

    def __init__(self, model: ModelProto, start: Sequence[str] = (), end: Sequence[str] = ()) -> None:
        graph = model.graph
        self.model = model
        self.nodes: list[NodeProto] = list(graph.node)
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.maker = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in reads(node):
                self.readers[name].append(node)
        self.captured = {name for node in self.nodes for name in set(reads(node)) - set(node.input)}
        self.inside = self._inside(start, end)
        twice = [name for name, count in Counter(node.name for node in self.nodes).items() if count > 1 or not name]
        self.named = {node.name: node for node in self.nodes if node.name not in twice}

    def _inside(self, start: Sequence[str], end: Sequence[str]) -> set[str]:
        """Outputs of the nodes after the features and before the end of the model."""
        known = [name for name in start if name in self.maker or name in self.readers]
        after = set(known or (value.name for value in self.model.graph.input))
        reached = set[str]()
        for node in self.nodes:
            if any(name in after for name in reads(node)):
                after.update(node.output)
                reached.update(node.output)
        before = {name for name in end if name in self.maker} or set(self.outputs)
        wanted = set[str]()
        for node in reversed(self.nodes):
            if before.intersection(node.output):
                before.update(reads(node))
                wanted.update(node.output)
        return reached & wanted - set(known)

    def weight(self, node: NodeProto, place: int = 1) -> Array | None:
        """A constant float input of a node; None where it is none."""
        name = node.input[place] if len(node.input) > place else ""
        tensor = self.constants.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            return None
        return numpy_helper.to_array(tensor)

    def held(self, node: NodeProto, place: int = 1) -> Array:
        """The weight of a node that is known to have one. Raises FormatError."""
        found = self.weight(node, place)
        if found is None:
            raise FormatError(f"The node {node.name!r} has no constant weight", got=", ".join(node.input))
        return found

    def activation(self, node: NodeProto) -> NodeProto | None:
        """The Relu or Clip that alone reads a node's output, and is computed with it."""
        readers = self.readers[node.output[0]]
        if len(readers) != 1 or readers[0].op_type not in ACTIVATIONS or node.output[0] in self.outputs:
            return None
        return readers[0] if readers[0].input[0] == node.output[0] else None

    def result(self, node: NodeProto) -> str:
        """The value that leaves a node, its activation included."""
        follows = self.activation(node)
        return node.output[0] if follows is None else follows.output[0]

    def results(self, node: NodeProto) -> list[str]:
        """The values that leave an int8 node, with the activation that is computed with it. A join or a move has none."""
        return [self.result(node)] if node.op_type in (*WEIGHTED, "Add") else list(node.output)

    def free(self, name: str) -> bool:
        """A value that the graph computes or is given, and no subgraph reads."""
        return bool(name) and name not in self.constants and name not in self.captured


def candidates(graph: Graph, precision: Precision) -> list[str]:
    """Names of the nodes that can take this class, in graph order."""
    able = {node.name for node in graph.named.values() if _able(graph, node, precision)}
    if precision != "float16":  # which is exact enough for what features are made with
        able = {name for name in able if graph.inside.intersection(graph.named[name].output)}
    if precision == "int8-static":
        able = _with_neighbours(graph, able)
    return [node.name for node in graph.nodes if node.name in able]


def stored_place(graph: Graph, node: NodeProto) -> int | None:
    """Which input of a product, convolution or lookup is its weight; None where none is."""
    places = {"Gather": (0,), "MatMul": (1, 0)}.get(node.op_type, (1,) if node.op_type in WEIGHTED else ())
    return next((place for place in places if graph.weight(node, place) is not None), None)


def _able(graph: Graph, node: NodeProto, precision: Precision) -> bool:
    if precision == "float16":
        place = stored_place(graph, node)
        return place is not None and graph.constants[node.input[place]].ByteSize() >= SMALL
    if node.op_type == "Gather":
        table = graph.weight(node, 0)
        return table is not None and table.ndim == 2 and table.size >= SMALL and attribute(node, "axis", 0) == 0
    weight = graph.weight(node)
    if weight is None or node.op_type not in WEIGHTED or not graph.free(node.input[0]):
        return False
    if node.op_type == "Conv":
        return precision == "int8-static"
    if weight.ndim != 2 or not plain_product(node):
        return False
    return weight.size >= SMALL or precision == "int8-static"


def plain_product(node: NodeProto) -> bool:
    """A Gemm that is a product and a sum, without factors; any MatMul."""
    return node.op_type == "MatMul" or (
        not attribute(node, "transA", 0) and attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
    )


def _with_neighbours(graph: Graph, able: set[str]) -> set[str]:
    """`able` and the joining and moving nodes between quantized ones."""
    quantized = {graph.result(graph.named[name]) for name in able if graph.named[name].op_type != "Gather"}
    found = set(able)
    for node in graph.nodes:
        if node.name not in graph.named or not graph.inside.intersection(node.output) or node.name in found or not _keeps(node):
            continue
        flows = [name for name in node.input if name and name not in graph.constants]
        if node.op_type in MOVING:
            flows = flows[:1]
        alike = len(flows) == len([name for name in node.input if name]) or node.op_type in MOVING
        if node.op_type in (*JOINING, *MOVING) and alike and flows and all(name in quantized for name in flows):
            found.add(node.name)
            quantized.update(graph.results(node))
    return found


def _keeps(node: NodeProto) -> bool:
    """A Resize that interpolates makes values of its own: it is no move."""
    modes = [held.s for held in node.attribute if held.name == "mode"]
    return node.op_type != "Resize" or not modes or modes == [b"nearest"]


def attribute(node: NodeProto, name: str, default: int | float) -> int | float:
    """A number among a node's attributes."""
    for held in node.attribute:
        if held.name == name:
            return held.f if held.type == AttributeProto.FLOAT else held.i
    return default


def fresh(taken: set[str], wanted: str) -> str:
    """A name that no value has yet; taken from then on."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}.{number}", number + 1
    taken.add(name)
    return name


def value_names(model: ModelProto) -> set[str]:
    """Every name of a value in the main graph."""
    graph = model.graph
    made = {name for node in graph.node for name in (*node.input, *node.output)}
    return made | {value.name for value in (*graph.input, *graph.output, *graph.initializer)}


def tensor(name: str, value: Array) -> TensorProto:
    """An initializer."""
    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)


def node_of(kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, domain: str = "", **attributes: object) -> NodeProto:
    """A node."""
    return helper.make_node(kind, list(inputs), list(outputs), name=name, domain=domain or None, **attributes)  # type: ignore[arg-type]


def rebuilt(model: ModelProto, nodes: Iterable[NodeProto], tensors: Iterable[TensorProto]) -> ModelProto:
    """A copy with these nodes; initializers that nothing reads are left out."""
    made = ModelProto()
    made.CopyFrom(model)
    held = list(nodes)
    used = set(_used(held)) | {value.name for value in model.graph.output}
    every = [*model.graph.initializer, *tensors]
    kept = [value for value in every if value.name in used]
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    made.graph.node.extend(held)
    made.graph.initializer.extend(kept)
    return made


def _used(nodes: Sequence[NodeProto]) -> Iterator[str]:
    for node in nodes:
        yield from reads(node)
