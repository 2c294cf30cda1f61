"""Trace functions on tensors into one ONNX graph under the user's names: torch.export, then torch.onnx on its program.

The traced module's `forward` has positional parameters only, so that an input may be called "class" or "cell type";
what they mean is known by position. Outputs come back as a flat list: the outputs, then the tensors at each boundary.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, cast

import torch
from onnx import ModelProto
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram

from ...sdk.core.errors import TraceError
from ...sdk.core.signature import DType, Shape, TensorSpec
from ..onnx_graph import ORIGIN_KEY, Normalised, Rim, normalise, rename_symbols
from .dtypes import DTYPE_OF, TORCH
from .inputs import BATCH, Input, dimension_sizes
from .traps import Limits, ShapeWatch, explaining, is_fixed, limits_in, refuse_randomness, watching_shapes

OPSET = 18
"""The version of the standard operators that programs are written in: what every target's importer reads."""

_NODE_KEY = "pkg.torch.onnx.fx_node"
"""Where the exporter says which node it was at, as torch prints it: `%linear : [num_users=1] = ...`."""

@dataclass(frozen=True)
class Returned:
    """What traced code returns: named outputs, and named tensors at each boundary."""

    outputs: Mapping[str, torch.Tensor]
    boundaries: Mapping[str, Mapping[str, torch.Tensor]]


@dataclass(frozen=True)
class Traced:
    """The graph of traced code.

    Attributes:
        graph: normalised ONNX with the user's names at the rim, in rim dtypes.
        outputs: native dtype and symbolic shape of each output.
        program: the ExportedProgram it came from.
        edges: dynamic dimension -> sizes just outside what torch found possible, where it found a limit.
        watch: the user's lines that read dynamic dimensions.
    """

    graph: Normalised
    outputs: tuple[TensorSpec, ...]
    program: ExportedProgram
    edges: Mapping[str, tuple[int, ...]]
    watch: ShapeWatch

    @property
    def model(self) -> ModelProto:
        """The ONNX graph."""
        return self.graph.model


Body = Callable[[dict[str, torch.Tensor]], Returned]


class _Positional(torch.nn.Module):
    """The module that is traced: positional tensors of rim dtypes in, a flat list of rim dtypes out."""

    def __init__(self, body: Body, inputs: Sequence[Input], modules: Mapping[str, torch.nn.Module]) -> None:
        super().__init__()
        self.body, self.inputs = body, inputs
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
        native = {item.spec.name: tensor.clone().to(TORCH[item.spec.dtype]) for item, tensor in zip(self.inputs, tensors, strict=True)}
        returned = self.body(native)
        inner = [tensor for group in returned.boundaries.values() for tensor in group.values()]
        return [to_rim(tensor) for tensor in returned.outputs.values()] + inner


def to_rim(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in the dtype that it has at the program's rim."""
    return tensor.to(TORCH[TensorSpec("", dtype_of_tensor(tensor), (), None).rim_dtype])


def dtype_of_tensor(tensor: torch.Tensor) -> DType:
    """The Signature dtype of a tensor. Raises TraceError for dtypes that no package can hold."""
    if tensor.dtype not in DTYPE_OF:
        raise TraceError("An output has a dtype that no package can hold", got=tensor.dtype, expected=", ".join(map(str, DTYPE_OF)))
    return DTYPE_OF[tensor.dtype]


def trace(body: Body, inputs: Sequence[Input], modules: Mapping[str, torch.nn.Module] | None = None,
          rework: Callable[[ModelProto], ModelProto] | None = None, opset: int = OPSET) -> Traced:  # fmt: skip
    """Trace `body` into one normalised ONNX graph.

    Args:
        body: typed tensors of native dtype by name -> what they become. Runs more than once.
        inputs: the program's inputs; every named dimension in their shapes is made dynamic, and stays so or is an error.
        modules: name -> module whose parameters `body` uses; the names lead the weights' names.
        rework: applied to the exported ONNX graph before it is normalised (opaque nodes are replaced there).
        opset: version of the standard operators.

    Raises:
        TraceError: what cannot be traced, with the user's line and the way out.
    """
    taken: list[Returned] = []  # kept outside the module, whose attributes torch.export puts back as they were

    def keeping(tensors: dict[str, torch.Tensor]) -> Returned:
        taken.append(body(tensors))
        return taken[-1]

    module = _Positional(keeping, inputs, modules or {})
    names = {f"dim_{index}": dim for index, dim in enumerate(dimension_sizes(inputs))}
    with torch.no_grad(), quiet(), watching_shapes() as watch, explaining("The functions cannot be traced", watch, names):
        program, limits = _exported(module, inputs, names)
    returned = taken[-1]
    refuse_randomness(program)
    dims = _symbols(program, inputs) | names
    outputs = _output_specs(program, returned, dims)
    rim = Rim([item.spec.name for item in inputs], [spec.name for spec in outputs],
              {group: list(held) for group, held in returned.boundaries.items()}, dims)  # fmt: skip
    exported = to_onnx(program, opset)
    return Traced(normalise(rework(exported) if rework else exported, rim), outputs, program, _edges(limits, names), watch)


def _exported(module: torch.nn.Module, inputs: Sequence[Input], names: Mapping[str, str]) -> tuple[ExportedProgram, dict[str, Limits]]:
    """torch.export with every dimension dynamic; where an operation has a smallest or largest size, within those limits.

    A convolution needs as many pixels as its kernel has. A branch on a size gives limits too: `probe` tells them apart
    by running the source just outside of them.
    """
    limits: dict[str, Limits] = {}
    loose = False
    while True:
        try:
            shapes = (_dynamic(inputs, names, limits, loose),)
            return torch.export.export(module, _examples(inputs), dynamic_shapes=shapes, strict=False), limits
        except UserError as error:
            found = {symbol: bounds for symbol, bounds in limits_in(str(error)).items() if symbol in names and limits.get(symbol) != bounds}
            if loose or (not found and is_fixed(str(error))):
                raise
            loose = not found
            limits |= found


def _edges(limits: Mapping[str, Limits], names: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    outside = {symbol: (low - 1, high + 1 if high else 0) for symbol, (low, high) in limits.items()}
    return {names[symbol]: tuple(size for size in sizes if size > 0) for symbol, sizes in outside.items()}


def to_onnx(program: ExportedProgram, opset: int = OPSET) -> ModelProto:
    """Export without a word on stdout or stderr. Raises TraceError naming the operator that has no ONNX form."""
    with quiet(), explaining("An operation has no form in ONNX"):
        exported = torch.onnx.export(program, (), dynamo=True, opset_version=opset, verbose=False, optimize=True)
        if exported is None:
            raise TraceError("torch.onnx.export returned nothing")
        model: ModelProto = cast("Any", exported).model_proto
    _tell_origins(model, cast("Any", exported).exported_program)
    return model


def _tell_origins(model: ModelProto, lowered: ExportedProgram) -> None:
    """Write into each node's metadata the node of the traced program that it came from, through the exporter's decompositions."""
    origins = {node.name: _origin(node) for node in lowered.graph.nodes}
    for node in model.graph.node:
        named = next((entry.value for entry in node.metadata_props if entry.key == _NODE_KEY), "").partition(" ")[0].lstrip("%")
        if origin := origins.get(named):
            node.metadata_props.add(key=ORIGIN_KEY, value=origin)


def _origin(node: torch.fx.Node) -> str | None:
    """The name that a node's oldest ancestor had."""
    name, sources = None, node.meta.get("from_node")
    while sources:
        name, sources = sources[-1].name, sources[-1].from_node
    return name


@contextmanager
def quiet() -> Generator[None]:
    """Keep the exporters' progress, warnings and logs off the terminal; errors still raise."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx", "torch._dynamo", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _examples(inputs: Sequence[Input]) -> tuple[torch.Tensor, ...]:
    """The examples with every dynamic dimension at least 2, because torch takes 0 and 1 for constants."""
    sizes = dimension_sizes(inputs, least=2)
    return tuple(torch.from_numpy(item.rim(sizes)) for item in inputs)


def _dynamic(inputs: Sequence[Input], names: Mapping[str, str], limits: Mapping[str, Limits], loose: bool) -> tuple[dict[int, Any], ...]:
    """Dynamic axes of each input; `loose` lets torch keep guards on single sizes (h != 3), which cost nothing in ONNX."""
    dims = {name: _dim(symbol, *limits.get(symbol, (0, None))) for symbol, name in names.items()}
    dims = dict.fromkeys(dims, Dim.DYNAMIC) if loose else dims
    return tuple({axis: dims[dim] for axis, dim in enumerate(item.spec.shape) if isinstance(dim, str)} for item in inputs)


def _dim(symbol: str, low: int, high: int | None) -> Any:
    return Dim(symbol, **({"min": low} if low else {}), **({"max": high} if high else {}))


def _symbols(program: ExportedProgram, inputs: Sequence[Input]) -> dict[str, str]:
    """torch's symbol -> the user's dimension; raises TraceError where one is no longer dynamic."""
    taken = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in taken]
    dims: dict[str, str] = {}
    for item, node in zip(inputs, nodes, strict=True):
        for axis, (dim, size) in enumerate(zip(item.spec.shape, node.meta["val"].shape, strict=True)):
            if isinstance(dim, str) and isinstance(size, int):
                raise TraceError(f"The code fixes dimension {dim!r}, which should be dynamic", got=f"{item.spec.name}, axis {axis}: {size}")
            if isinstance(dim, str):
                dims[str(size)] = dim
    return dims


def _output_specs(program: ExportedProgram, returned: Returned, dims: Mapping[str, str]) -> tuple[TensorSpec, ...]:
    values = [node.meta["val"] for node in list(program.graph.nodes)[-1].args[0]]
    specs: list[TensorSpec] = []
    for (name, native), value in zip(returned.outputs.items(), values, strict=False):
        shape: Shape = tuple(dim if isinstance(dim, int) else _readable(str(dim), dims) for dim in value.shape)
        specs.append(TensorSpec(name, dtype_of_tensor(native), shape, shape.index(BATCH) if BATCH in shape else None))
    return tuple(specs)


def _readable(symbol: str, dims: Mapping[str, str]) -> str:
    return rename_symbols(symbol, lambda match: dims.get(match[0], match[0]))
