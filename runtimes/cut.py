"""Where an answer becomes discrete: walk back from an output of a graph to the last float values before the decision.

- The cut is the model's boundary, where it is float and the output depends on the inputs through it alone; otherwise the
  last float values on every way back.
- A float value that can only hold discrete values (a Cast of integers, a Round, a Where between constants, and what
  reshapes those) is walked through.
- Inputs of the package are exact on every target: they are never part of a cut. Inputs that an earlier stage computes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from onnx import ModelProto, NodeProto, TensorProto, shape_inference

from .onnx_extract import reads

_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
_ROUNDING = {"Round", "Floor", "Ceil", "Sign", "OneHot"}
_MOVING = {
    "Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Concat", "Slice", "Expand", "Gather", "Split", "Tile",
}  # fmt: skip
_EXACT = _MOVING | {
    "Cast", "Where", "GatherElements", "GatherND", "Shape", "ConstantOfShape", "IsNaN", "IsInf", "Equal", "Less", "LessOrEqual",
    "Greater", "GreaterOrEqual", "And", "Or", "Not", "Xor", "OneHot", "Neg", "Abs", "Max", "Min", "Clip",
}  # fmt: skip
"""Operators that round nothing."""
_WHOLE = {"Add", "Sub", "Mul", "Mod"}
"""Operators that round nothing on integers."""


@dataclass(frozen=True)
class Cut:
    """The values to move, and the other values that the part behind them reads.

    Attributes:
        output: the discrete output.
        values: float values at which the answer is still continuous; empty: every row is firm.
        others: graph inputs that the part from the cut to the output reads besides.
    """

    output: str
    values: tuple[str, ...]
    others: tuple[str, ...]


def find(model: ModelProto, output: str, boundary: Sequence[str] = (), exact: Sequence[str] = ()) -> Cut:
    """The cut of one output.

    Args:
        model: one stage, weights inside or not.
        output: name of a graph output.
        boundary: values where the model ends ("model" in the manifest's boundaries).
        exact: graph inputs that are inputs of the package.
    """
    graph = _Graph(model)
    ends = [name for name in boundary if graph.is_float(name) and name != output and name not in exact]
    reached, inputs = graph.back(output, set(ends))
    if reached and not any(graph.is_float(name) for name in inputs):
        return Cut(output, tuple(sorted(reached)), tuple(sorted(inputs)))
    reached, inputs = graph.back(output, None)
    moved = sorted(name for name in reached if name not in exact)
    return Cut(output, tuple(moved), tuple(sorted((inputs | reached) - set(moved)))) if output not in moved else Cut(output, (), ())


def is_exact(model: ModelProto, name: str, exact: Sequence[str]) -> bool:
    """Whether a value is the same bits on every target: made of the package's inputs by moving, looking up and comparing alone.

    Args:
        model: one stage.
        name: a value of it.
        exact: graph inputs that are inputs of the package.
    """
    graph, waiting, seen = _Graph(model), [name], set[str]()
    while waiting:
        here = waiting.pop()
        if here in seen or not graph.varying.get(here, False) or here in exact:
            continue
        seen.add(here)
        node = graph.maker.get(here)
        if node is None or (node.op_type not in _EXACT and (node.op_type not in _WHOLE or graph.is_float(here))):
            return False
        waiting += reads(node)
    return True


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        graph = shape_inference.infer_shapes(model).graph
        known = chain(graph.value_info, graph.input, graph.output)
        self.types = {value.name: value.type.tensor_type.elem_type for value in known if value.type.HasField("tensor_type")}
        self.types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        self.maker: dict[str, NodeProto] = {name: node for node in graph.node for name in node.output if name}
        self.inputs = {value.name for value in graph.input}
        self.varying: dict[str, bool] = dict.fromkeys(self.inputs, True)
        for node in graph.node:
            moves = any(self.varying.get(name, False) for name in reads(node))
            self.varying |= dict.fromkeys(node.output, moves)
        self._discrete: dict[str, bool] = {}

    def is_float(self, name: str) -> bool:
        return self.types.get(name) in _FLOATS

    def back(self, output: str, stop: set[str] | None) -> tuple[set[str], set[str]]:
        """(float values where the walk stopped, graph inputs it met). stop None: at the first continuous float values."""
        reached, inputs = set[str](), set[str]()
        waiting, seen = [output], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or not self.varying.get(name, False):
                continue
            seen.add(name)
            if (name in stop) if stop is not None else (self.is_float(name) and not self.discrete(name)):
                reached.add(name)
            elif name in self.inputs:
                inputs.add(name)
            else:
                waiting += reads(self.maker[name])
        return reached, inputs

    def discrete(self, name: str) -> bool:
        """A float value that can only take discrete values, as far as its operators tell."""
        if name not in self._discrete:
            self._discrete[name] = False  # for a value that is being looked at: no way round
            self._discrete[name] = self._look(name)
        return self._discrete[name]

    def _look(self, name: str) -> bool:
        if not self.varying.get(name, False) or (not self.is_float(name) and name in self.types):
            return True
        node = self.maker.get(name)
        if node is None:
            return False
        if node.op_type in _ROUNDING:
            return True
        if node.op_type == "Cast":
            return self.discrete(node.input[0])
        if node.op_type == "Where":
            return all(self.discrete(part) for part in node.input[1:])
        return node.op_type in _MOVING and all(self.discrete(part) for part in node.input if part)
