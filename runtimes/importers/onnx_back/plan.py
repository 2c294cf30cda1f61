"""Laying a graph out: constants are folded, branches with a known condition chosen, the rest becomes a list of steps.

The graph is run once on made-up numbers in the fixed shapes. What no input reaches is a constant from then on, shapes included; a
node that made only constants leaves no step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from onnx import GraphProto, NodeProto, numpy_helper
from torch import Tensor

from ....sdk.core.errors import UnsupportedError
from .bounds import follows, known
from .call import MAIN_DOMAINS, Call, Constant, Value, decode, subgraphs, title
from .constants import Constants, free_tensor, to_array
from .registry import Operator
from .vocabulary import OPERATORS

BRANCHES = ("then_branch", "else_branch")


@dataclass(frozen=True)
class Step:
    """One node at run time: names of values in, names of values out."""

    call: Call
    operator: Operator
    inputs: tuple[str, ...]

    def run(self, values: dict[str, Value]) -> None:
        """Add the node's outputs to `values`."""
        made = self.operator(self.call, [values[name] if name else None for name in self.inputs])
        values.update({name: as_value(result) for name, result in zip(self.call.outputs, made, strict=False) if name})


@dataclass
class Layout:
    """A graph while it is laid out.

    Attributes:
        values: by name: what the made-up inputs gave, or the constant.
        steps: what is left to do at run time.
        nonnegative: names of values that hold no negative number.
        notes: what the steps do otherwise than the graph says.
    """

    constants: Constants
    opset: int
    values: dict[str, Value]
    steps: list[Step] = field(default_factory=list[Step])
    nonnegative: set[str] = field(default_factory=set[str])
    notes: list[str] = field(default_factory=list[str])

    def add(self, graph: GraphProto, scope: Mapping[str, str]) -> None:
        """Lay out a graph whose names are renamed by `scope`. Raises UnsupportedError naming every node without a lowering."""
        refuse_unknown(graph.node)
        for tensor in graph.initializer:
            self.hold(scope.get(tensor.name, tensor.name), Constant(numpy_helper.to_array(tensor)))
        for node in graph.node:
            if node.op_type == "If":
                self._branch(node, scope)
            else:
                self._node(node, scope)

    def hold(self, name: str, value: Value) -> None:
        """Remember a value."""
        self.values[name] = value
        if known(value):
            self.nonnegative.add(name)

    def _node(self, node: NodeProto, scope: Mapping[str, str]) -> None:
        inputs, outputs = ([scope.get(name, name) for name in names] for names in (node.input, node.output))
        signs = tuple(name in self.nonnegative for name in inputs)
        call = Call(node.op_type, title(node), self.opset, decode(node), tuple(outputs), self.constants.place, (*signs, *[False] * 8))
        self.perform(Step(call, OPERATORS[node.op_type], tuple(inputs)))
        if follows(node.op_type, signs):
            self.nonnegative.add(outputs[0])

    def perform(self, step: Step) -> None:
        """Run a step now; keep it unless all that it made is constant."""
        folds = all(isinstance(self.values[name], Constant) for name in step.inputs if name)
        try:
            (replace(step, call=replace(step.call, place=free_tensor)) if folds else step).run(self.values)
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
            raise UnsupportedError(f"The ONNX node {step.call.name} cannot be laid out: {error}") from error
        made = [name for name in step.call.outputs if name in self.values]
        for name in made:
            value = self.values[name]
            self.hold(name, Constant(to_array(value)) if folds and isinstance(value, Tensor) else value)
        if any(isinstance(self.values[name], Tensor) for name in made):
            self.steps.append(step)
            self._refuse_empty(step, made)

    def _refuse_empty(self, step: Step, made: Iterable[str]) -> None:
        for name in made:
            value = self.values[name]
            if isinstance(value, Tensor) and value.numel() == 0:
                raise UnsupportedError(f"The ONNX node {step.call.name} makes an empty tensor", got=tuple(value.shape))

    def _branch(self, node: NodeProto, scope: Mapping[str, str]) -> None:
        """A constant condition picks its branch; otherwise both run, without effects as they are, and it picks their results."""
        branches = decode(node)
        condition = scope.get(node.input[0], node.input[0])
        value, targets = self.values[condition], [scope.get(name, name) for name in node.output]
        if isinstance(value, Constant):
            chosen = "then_branch" if value.array.reshape(-1)[0] else "else_branch"
            for target, name in zip(targets, self._inline(branches[chosen], targets[0], scope, chosen), strict=True):
                self._pass_on(node, target, name)
            return
        self._both(node, branches, scope, condition, targets)

    def _both(self, node: NodeProto, branches: Mapping[str, Any], scope: Mapping[str, str], condition: str, targets: list[str]) -> None:
        """A branch that these dimensions do not allow makes NaN: where the data choose it, the graph itself would fail."""
        failed = {name: error for name in BRANCHES if (error := self._failure(branches[name], scope))}
        if len(failed) == len(BRANCHES):
            raise next(iter(failed.values()))
        results = {name: self._inline(branches[name], targets[0], scope, name) for name in BRANCHES if name not in failed}
        for name, error in failed.items():
            results[name] = self._impossible(node, targets, next(iter(results.values())), error)
            self.notes.append(f"Where the data choose the {name} of {title(node)}, which these dimensions do not allow, the answer is NaN")
        for target, *names in zip(targets, *(results[name] for name in BRANCHES), strict=True):
            self._choose(node, target, (condition, *names))

    def _failure(self, graph: GraphProto, scope: Mapping[str, str]) -> UnsupportedError | None:
        """Why a branch cannot be laid out here, tried on the side."""
        aside = Layout(Constants(), self.opset, dict(self.values), nonnegative=set(self.nonnegative))
        try:
            aside._inline(graph, "trial", scope, "branch")
        except UnsupportedError as error:
            return error
        return None

    def _impossible(self, node: NodeProto, targets: list[str], others: list[str], error: UnsupportedError) -> list[str]:
        """NaN in the shape of the other branch's results. Raises the error where a result cannot hold NaN."""
        for target, other in zip(targets, others, strict=True):
            tensor = self.constants.place(value) if isinstance(value := self.values[other], Constant) else value
            if not tensor.is_floating_point():
                raise error
            self.hold(f"{target}/impossible", Constant(to_array(torch.full_like(tensor, float("nan")))))
        return [f"{target}/impossible" for target in targets]

    def _inline(self, graph: GraphProto, prefix: str, scope: Mapping[str, str], branch: str) -> list[str]:
        """Lay a branch out with names of its own; the names of its results."""
        inner = {**scope, **{name: f"{prefix}/{branch}/{name}" for name in defined(graph)}}
        self.add(graph, inner)
        return [inner.get(output.name, output.name) for output in graph.output]

    def _pass_on(self, node: NodeProto, target: str, source: str) -> None:
        self.perform(Step(self._call(node, "Identity", target), OPERATORS["Identity"], (source,)))
        if source in self.nonnegative:
            self.nonnegative.add(target)

    def _choose(self, node: NodeProto, target: str, names: tuple[str, ...]) -> None:
        then, other = (self.values[name] for name in names[1:])
        if shape_of(then) != shape_of(other):
            got = f"{shape_of(then)} and {shape_of(other)}"
            raise UnsupportedError(f"The branches of the ONNX node {title(node)}, chosen by the data, differ in shape", got=got)
        self.perform(Step(self._call(node, "If", target), CHOICE, names))

    def _call(self, node: NodeProto, kind: str, target: str) -> Call:
        return Call(kind, title(node), self.opset, {}, (target,), self.constants.place)


def choose(call: Call, condition: Tensor, then: Tensor, other: Tensor) -> Tensor:
    """One of two results of equal shape."""
    return torch.where(condition.reshape(()), then, other)


CHOICE = Operator(choose)


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of a tensor or constant."""
    return tuple(value.array.shape if isinstance(value, Constant) else value.shape)


def as_value(result: Tensor | object) -> Value:
    """An operator's result as a value: arrays are constants."""
    return result if isinstance(result, Tensor) else Constant(result)  # type: ignore[arg-type]


def defined(graph: GraphProto) -> set[str]:
    """Names that a graph makes itself."""
    return {tensor.name for tensor in graph.initializer} | {name for node in graph.node for name in node.output if name}


def refuse_unknown(nodes: Sequence[NodeProto]) -> None:
    """Raise UnsupportedError that names every node without a lowering; branches are looked at when they are chosen."""
    unknown = [title(node) for node in nodes if not _lowers(node)]
    if unknown:
        raise UnsupportedError(f"ONNX operators without a lowering: {', '.join(unknown)}", expected=", ".join(sorted(OPERATORS)))


def _lowers(node: NodeProto) -> bool:
    if node.domain not in MAIN_DOMAINS:
        return False
    return node.op_type == "If" or (node.op_type in OPERATORS and not subgraphs(node))


def used(steps: Iterable[Step]) -> set[str]:
    """Names that steps read."""
    return {name for step in steps for name in step.inputs if name}


def zeros(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """What the graph is laid out on."""
    return torch.zeros(tuple(shape), dtype=dtype)
