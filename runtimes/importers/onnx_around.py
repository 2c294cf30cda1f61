"""An ONNX file with featurize and predict around it: traced with the file as an opaque node, which is inlined afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from onnx import ModelProto

from ...sdk.core.errors import TraceError
from ..onnx_extract import opset
from ..onnx_inline import cast_rim, inline, standalone
from ..onnx_run import run_graph
from .assembly import graph_program
from .dtypes import TORCH
from .eager import rehearse, source_of, steady
from .inputs import describe_inputs, values
from .onnx_rim import ONNX_OF_DTYPE, Port, declare, opened, ports, tries
from .opaque import Opaques, Output
from .pipeline import Pipeline, Recorder, parameters
from .probe import probe
from .program import ImportOptions, Program
from .torch_module import captured
from .tracing import OPSET, trace


@dataclass(frozen=True)
class _Shapes:
    """What one call read and returned."""

    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]


class OnnxModel:
    """What `predict` receives for an ONNX file: called with tensors by position or by the file's names, it returns named tensors.

    Eagerly it runs in ONNX Runtime and remembers the shapes it saw; while tracing it is one opaque node whose output
    dimensions follow those of its inputs as they were seen to.
    """

    def __init__(self, proto: ModelProto, recorder: Recorder, opaques: Opaques) -> None:
        self.graph = standalone(proto)
        self.inputs, self.outputs = ports(self.graph.graph.input), ports(self.graph.graph.output)
        cast_rim(self.graph, *([ONNX_OF_DTYPE[port.dtype] for port in side] for side in (self.inputs, self.outputs)))
        self.recorder, self.opaques = recorder, opaques
        self.session = opened(self.graph)
        self.names = [value.name for value in self.graph.graph.input]
        self.seen: dict[int, list[_Shapes]] = {}

    def __call__(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The file's outputs by name. Raises TraceError for tensors that do not fit its inputs."""
        tensors = self._bound(args, kwargs)
        outputs = self._traced(tensors) if torch.compiler.is_exporting() else self._run(tensors)
        found = {port.name: tensor for port, tensor in zip(self.outputs, outputs, strict=True)}
        self.recorder.record(found)
        return found

    def _bound(self, args: Sequence[torch.Tensor], kwargs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        names = [port.name for port in self.inputs]
        given: dict[str, Any] = dict(zip(names, args, strict=False)) | kwargs
        if len(args) > len(names) or sorted(given) != sorted(names):
            raise TraceError("The ONNX model was called with other tensors than it reads", got=f"{len(args)} by position, {sorted(kwargs)}",
                             expected=", ".join(names), fix="Call model(first, second) or model(name=tensor).")  # fmt: skip
        return [given[port.name].to(TORCH[port.dtype]) for port in self.inputs]

    def _run(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in zip(self.names, tensors, strict=True)}
        outputs = [torch.from_numpy(array) for array in run_graph(self.session, arrays).values()]
        shapes = _Shapes(tuple(tuple(tensor.shape) for tensor in tensors), tuple(tuple(tensor.shape) for tensor in outputs))
        self.seen.setdefault(self.recorder.calls, []).append(shapes)
        return outputs

    def _traced(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        seen = self.seen.get(self.recorder.calls, [])
        outputs = [Output(TORCH[port.dtype], self._shape(index, port, seen, tensors)) for index, port in enumerate(self.outputs)]
        return self.opaques.call("Onnx", self, tensors, outputs)

    def _shape(self, index: int, port: Port, seen: Sequence[_Shapes], tensors: Sequence[torch.Tensor]) -> list[Any]:
        """The symbolic shape of an output: constant dimensions, and input dimensions that it was seen to follow."""
        shape: list[Any] = []
        for axis in range(len(seen[0].outputs[index])):
            sizes = [shapes.outputs[index][axis] for shapes in seen]
            places = [(which, at) for which, held in enumerate(seen[0].inputs) for at in range(len(held))]
            follows = [(which, at) for which, at in places if [shapes.inputs[which][at] for shapes in seen] == sizes]
            if len(set(sizes)) > 1 and not follows:
                raise TraceError(f"Axis {axis} of ONNX output {port.name!r} follows no axis of its inputs", got=f"sizes {sizes}",
                                 fix="Leave that dimension out of dynamic=, so that it is fixed.")  # fmt: skip
            shape.append(sizes[0] if len(set(sizes)) == 1 else tensors[follows[0][0]].shape[follows[0][1]])
        return shape


def run(proto: ModelProto, options: ImportOptions) -> Program:
    """One graph stage: the functions' operations with the file's own between them."""
    recorder, opaques = Recorder(), Opaques()
    model = OnnxModel(proto, recorder, opaques)
    if options.featurize is None:
        options = declare(model.inputs, options)
    names = parameters(options.featurize, tuple(options.examples)) if options.featurize else tuple(port.name for port in model.inputs)
    inputs = describe_inputs(names, options)
    pipeline = Pipeline(options.featurize, options.predict, model, recorder)
    modules = captured(options.featurize, options.predict, None)
    source = source_of(pipeline, inputs, options.image, tuple(modules.values()))
    rehearse(inputs, source, tuple(modules.values()))
    for sizes in tries(source, inputs):
        source(values(inputs, sizes))
    with steady(tuple(modules.values())):
        traced = trace(pipeline, inputs, modules, lambda graph: _inlined(graph, opaques), max(OPSET, opset(model.graph)))
    probe(traced.model, inputs, source, traced.watch.lines, traced.graph.traces, traced.edges)
    return graph_program(traced, inputs, source, options)


def _inlined(graph: ModelProto, opaques: Opaques) -> ModelProto:
    graphs = {handle: held.graph for handle, held in opaques.held.items() if isinstance(held, OnnxModel)}
    return inline(graph, graphs)
