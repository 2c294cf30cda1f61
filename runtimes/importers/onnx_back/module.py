"""An ONNX graph as a torch module that `torch.export` can trace: the way back for packages without a torch program.

All dimensions are fixed beforehand. Shape arithmetic is folded away, weights are buffers, one torch expression stands for
each operator that is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from onnx import ModelProto, ValueInfoProto, inliner
from torch import Tensor
from torch.export import ExportedProgram

from ....sdk.core.errors import InputError, UnsupportedError
from .call import MAIN_DOMAINS, Constant, Value
from .constants import Constants
from .dtypes import torch_dtype
from .plan import Layout, Step, used, zeros
from .quantization import QUANTIZED


class OnnxModule(torch.nn.Module):
    """The graph with fixed dimensions.

    Attributes:
        inputs: names of the graph's inputs, in order.
        outputs: names of its outputs, in order.
        shapes: of the inputs.
        dtypes: of the inputs.
        notes: what the module does otherwise than the graph says.
    """

    def __init__(self, model: ModelProto, fixed: Mapping[str, int]) -> None:
        super().__init__()
        weights = {tensor.name for tensor in model.graph.initializer}
        infos = [value for value in model.graph.input if value.name not in weights]
        self.inputs = tuple(value.name for value in infos)
        self.outputs = tuple(value.name for value in model.graph.output)
        self.shapes = fixed_shapes(infos, fixed)
        self.dtypes = tuple(torch_dtype(value.type.tensor_type.elem_type) for value in infos)
        self.constants = Constants()
        layout = self._lay_out(model)
        self.steps, self.notes = tuple(layout.steps), (*quantized(layout.steps), *layout.notes)
        needed = used(self.steps) | set(self.outputs)
        self.known = {name: value for name, value in layout.values.items() if isinstance(value, Constant) and name in needed}
        for name in self.outputs:
            self._output(layout.values[name])
        self.constants.sealed = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The graph's outputs for its inputs, both in the graph's order. Raises InputError for other shapes."""
        self._check(inputs)
        values: dict[str, Value] = {**self.known, **dict(zip(self.inputs, inputs, strict=True))}
        for step in self.steps:
            step.run(values)
        return tuple(self._output(values[name]) for name in self.outputs)

    def examples(self) -> tuple[Tensor, ...]:
        """Zeros of the inputs' shapes and types."""
        return tuple(zeros(shape, dtype) for shape, dtype in zip(self.shapes, self.dtypes, strict=True))

    def _lay_out(self, model: ModelProto) -> Layout:
        """On zeros, which every lookup takes; on ones where zeros end in a division by zero."""
        try:
            return self._lay_out_on(model, 0)
        except UnsupportedError as error:
            if not isinstance(error.__cause__, RuntimeError):
                raise
            self.constants = Constants()
            return self._lay_out_on(model, 1)

    def _lay_out_on(self, model: ModelProto, number: int) -> Layout:
        values: dict[str, Value] = {name: torch.full_like(x, number) for name, x in zip(self.inputs, self.examples(), strict=True)}
        layout = Layout(self.constants, opset(model), values)
        with torch.no_grad():
            layout.add(model.graph, {})
        return layout

    def _output(self, value: Value) -> Tensor:
        """A constant is copied, because a program may not return its own buffer."""
        return self.constants.place(value).clone() if isinstance(value, Constant) else value

    def _check(self, inputs: Sequence[Tensor]) -> None:
        got = tuple(tuple(int(n) for n in x.shape) for x in inputs)
        if got != self.shapes:
            raise InputError("The program was laid out for other shapes", got=got, expected=self.shapes)


def to_module(model: ModelProto, fixed: Mapping[str, int] | None = None) -> OnnxModule:
    """The graph as a module.

    Args:
        model: standard operators, opset 11 to 21, weights inside; opset 18 is what packages hold.
        fixed: size of each named dimension, e.g. `{"batch": 8, "sequence": 128}`.

    Raises:
        UnsupportedError: naming every node whose operator has no lowering, every dimension that is not fixed, or the first
            node whose form has none.
    """
    whole = inliner.inline_local_functions(model) if model.functions else model
    return OnnxModule(whole, fixed or {}).eval()


def export(module: OnnxModule, examples: Sequence[Tensor] | None = None) -> ExportedProgram:
    """The module traced, on zeros unless examples are given."""
    with torch.no_grad():
        return torch.export.export(module, tuple(examples) if examples is not None else module.examples(), strict=False)


def opset(model: ModelProto) -> int:
    """The version of ONNX's own operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in MAIN_DOMAINS), 18)


def fixed_shapes(infos: Sequence[ValueInfoProto], fixed: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Shapes with named dimensions filled in. Raises UnsupportedError naming those that stay open."""
    found = [_dimensions(info, fixed) for info in infos]
    sides = [(info.name, axis, size) for info, shape in zip(infos, found, strict=True) for axis, size in enumerate(shape)]
    open_ = [f"{name}[{axis}] {size}".rstrip() for name, axis, size in sides if isinstance(size, str)]
    if open_:
        raise UnsupportedError("Dimensions of the ONNX graph are open", got=", ".join(open_), fix="Fix each by name: fixed={'batch': 8}.")
    if any(0 in shape for shape in found):
        raise UnsupportedError("An input of the ONNX graph has a dimension of size 0", got=found)
    return tuple(tuple(int(size) for size in shape) for shape in found)


def _dimensions(info: ValueInfoProto, fixed: Mapping[str, int]) -> list[int | str]:
    sizes = info.type.tensor_type.shape.dim
    return [size.dim_value if size.HasField("dim_value") else fixed.get(size.dim_param, size.dim_param) for size in sizes]


def quantized(steps: Sequence[Step]) -> tuple[str, ...]:
    """A sentence that names the quantised operators among the steps, if there are any."""
    found = sorted({step.call.type for step in steps} & set(QUANTIZED))
    return (f"{', '.join(found)} run in float32 with rounding and saturation, not in integers.",) if found else ()
