"""Smoothing on ONNX: channels of an activation are divided by factors, rows of the weights that read it are multiplied by them.

Nothing changes in float. In int8 an activation has one scale for all channels, and a few that are large make it coarse for the rest;
divided, all have much the same size, and the weights, with a scale per column, bear the difference (Xiao et al., "SmoothQuant",
ICML 2023). Where only such products read the value, and constants make it (LayerNormalization, Mul, Add, a linear layer, a Relu behind one
of them), the division is folded into them. Else, as behind a norm whose result a residual branch reads too, it is one Mul in front of
the products.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from ...sdk.core.plan import OCTAVE
from ...sdk.core.signature import Array
from .onnx_nodes import Graph, attribute, fresh, node_of, plain_product, rebuilt, tensor, value_names

FOLDED, SCALED = "folded", "scaled"
"""What became of a value: constants before it were divided, or a Mul divides it."""


def smooth(graph: Graph, smoothing: Mapping[str, Sequence[int]], products: Collection[str],
           fixed: Collection[str] = ()) -> tuple[ModelProto, dict[str, str]]:  # fmt: skip
    """The same function with smoothed values, and value -> what became of it.

    Args:
        graph: float.
        smoothing: value -> exponents as in a PrecisionPlan.
        products: names of the Gemm and MatMul nodes with constant weights that read the values divided.
        fixed: further values that somebody reads from outside: they keep their numbers.

    Values that none of the products reads, or that have another number of channels, are left out.
    """
    work = _Smoothing(graph, {*graph.outputs, *graph.captured, *fixed}, value_names(graph.model))
    found: dict[str, str] = {}
    for value, exponents in smoothing.items():
        readers = [node for node in graph.readers[value] if node.name in products and node.input[0] == value]
        if readers and all(graph.held(node).shape[row_axis(node)] == len(exponents) for node in readers):
            found[value] = work.divide(value, readers, factors_of(exponents))
    return (work.model(), found) if found else (graph.model, found)


def factors_of(exponents: Sequence[int]) -> Array:
    """(channels,) float32."""
    return np.exp2(np.asarray(exponents, np.float64) / OCTAVE).astype(np.float32)


def row_axis(node: NodeProto) -> int:
    """The axis of a product's weight that its input's channels are multiplied along."""
    return 1 if node.op_type == "Gemm" and attribute(node, "transB", 0) else 0


@dataclass
class _Smoothing:
    """One rewriting under way."""

    graph: Graph
    fixed: set[str]
    taken: set[str]
    changed: dict[int, NodeProto] = field(default_factory=dict[int, NodeProto])
    before: dict[int, list[NodeProto]] = field(default_factory=dict[int, list[NodeProto]])
    constants: dict[str, Array] = field(default_factory=dict[str, Array])
    made: dict[tuple[str, int, bytes], str] = field(default_factory=dict[tuple[str, int, bytes], str])

    def divide(self, value: str, readers: Sequence[NodeProto], factors: Array) -> str:
        """Divide what these products read; how."""
        for node in readers:
            self._multiply(node, 1, row_axis(node), factors)
        places = self._places(value, readers, len(factors))
        if places is not None:
            for node, place, axis in places:
                self._multiply(node, place, axis, 1 / factors)
            return FOLDED
        name, by = fresh(self.taken, f"{value}.smooth"), fresh(self.taken, f"{value}.factors")
        self.constants[by] = 1 / factors
        self.before[id(readers[0])] = [node_of("Mul", (value, by), (name,), f"{value}/smooth")]
        for node in readers:
            self._node(node).input[0] = name
        return SCALED

    def _places(self, value: str, readers: Sequence[NodeProto], channels: int) -> list[tuple[NodeProto, int, int]] | None:
        """Constants (node, input, axis) that multiply the whole value by channel; None where a Mul is needed."""
        found: list[tuple[NodeProto, int, int]] = []
        while value not in self.fixed and {id(node) for node in self.graph.readers[value]} == {id(node) for node in readers}:
            node = self.graph.maker.get(value)
            if node is None:
                return None
            if node.op_type == "Relu":  # factors are positive
                value, readers = node.input[0], [node]
                continue
            here = [(node, place, axis) for place, axis in self._own(node, channels)]
            if not here or node.op_type != "Add":
                return [*found, *here] if here else None
            found += here
            value, readers = node.input[1 - here[0][1]], [node]
        return None

    def _own(self, node: NodeProto, channels: int) -> list[tuple[int, int]]:
        """(input, axis) of a node's constants that are multiplied where its result is; empty where that does not do."""
        if node.op_type in ("Add", "Mul"):
            return [(place, -1) for place in (0, 1) if self._fits(node, place, -1, channels)][:1]
        if node.op_type == "LayerNormalization":
            weight = self.graph.weight(node)
            places = [(place, -1) for place in range(1, len(node.input)) if node.input[place]]
            alone = weight is not None and weight.ndim == 1 and not any(node.output[1:])
        elif node.op_type in ("Gemm", "MatMul") and plain_product(node):
            axis = 0 if row_axis(node) else -1
            places = [(1, axis), *((2, -1) for name in node.input[2:] if name)]
            alone = (weight := self.graph.weight(node)) is not None and weight.ndim == 2
        else:
            return []
        return places if alone and all(self._fits(node, place, axis, channels) for place, axis in places) else []

    def _fits(self, node: NodeProto, place: int, axis: int, channels: int) -> bool:
        weight = self.graph.weight(node, place)
        return weight is not None and weight.ndim > 0 and weight.shape[axis] == channels

    def _node(self, node: NodeProto) -> NodeProto:
        """The copy of a node that is written to."""
        if id(node) not in self.changed:
            self.changed[id(node)] = NodeProto()
            self.changed[id(node)].CopyFrom(node)
        return self.changed[id(node)]

    def _multiply(self, node: NodeProto, place: int, axis: int, factors: Array) -> None:
        """Give a node a constant of its own, or the one that was made for another node from the same."""
        held = self._node(node)
        name = held.input[place]
        key = (name, axis, factors.tobytes())
        if key not in self.made:
            weight = self.constants[name] if name in self.constants else numpy_helper.to_array(self.graph.constants[name])
            shape = [1] * weight.ndim
            shape[axis] = -1
            self.made[key] = fresh(self.taken, f"{node.input[place]}.smooth")
            self.constants[self.made[key]] = (weight * factors.reshape(shape)).astype(np.float32)
        held.input[place] = self.made[key]

    def model(self) -> ModelProto:
        """What was made."""
        nodes = [made for node in self.graph.nodes for made in (*self.before.get(id(node), ()), self.changed.get(id(node), node))]
        tensors: list[TensorProto] = [tensor(name, value) for name, value in self.constants.items()]
        return rebuilt(self.graph.model, nodes, tensors)
