"""Import an ONNX file: as it is, or with featurize and predict traced around it (`onnx_around.py`, which needs torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from onnx import ModelProto

from ...sdk.core.errors import TraceError
from ...sdk.core.manifest import Stage
from ...sdk.core.signature import TensorSpec
from ..onnx_extract import domains
from ..onnx_graph import Rim, normalise
from ..onnx_inline import cast_rim, set_shapes, standalone
from ..onnx_weights import pack_files, stage_file
from .dispatch import is_onnx
from .inputs import Input, describe_inputs, signature_inputs
from .onnx_rim import ONNX_OF_DTYPE, declare, onnx_source, output_specs, ports, read_onnx
from .probe import probe
from .program import ImportOptions, Program
from .signatures import make_signature

_STANDARD = {"", "ai.onnx.ml"}


def handles(model: object) -> bool:
    """True for a path to an .onnx file, its bytes, or a ModelProto."""
    return is_onnx(model)


def input_names(model: object, options: ImportOptions) -> tuple[str, ...]:
    """featurize's parameters, else the file's inputs."""
    if options.featurize:
        from .callable import input_names as parameters_of

        return parameters_of(options.featurize, options)
    return tuple(value.name for value in standalone(read_onnx(model)).graph.input)


def run(model: object, options: ImportOptions) -> Program:
    """Import an ONNX file.

    Raises:
        FormatError: not an ONNX model.
        TraceError: tensors that a package cannot hold, or functions around it that cannot be traced.
        InputError: examples that do not fit.
    """
    proto = read_onnx(model)
    if options.featurize or options.predict:
        from . import onnx_around

        return onnx_around.run(proto, options)
    return as_it_is(proto, options)


def as_it_is(proto: ModelProto, options: ImportOptions) -> Program:
    """The file as one graph stage: inner dtypes behind Casts at the rim, dimensions named, paths and comments stripped."""
    graph = standalone(proto)
    held, made = ports(graph.graph.input), ports(graph.graph.output)
    options = declare(held, options)
    inputs = describe_inputs([port.name for port in held], options)
    _refuse_clash(inputs, [port.name for port in made])
    source = onnx_source(proto, held, made)
    outputs = output_specs(source, inputs, made)
    model = _at_rim(graph, inputs, outputs)
    probe(model, inputs, source)
    reads, writes = tuple(item.spec.name for item in inputs), tuple(spec.name for spec in outputs)
    stage = Stage("graph", "main", stage_file(0, "main", "onnx"), reads, writes)
    foreign = sorted(domains(model.graph) - _STANDARD)
    note = f"uses operators of {', '.join(foreign)}" if foreign else None
    return Program(
        signature=make_signature(signature_inputs(inputs), outputs, options),
        stages=(replace(stage, only=("onnx-cpu", "reference") if foreign else (), note=note),),
        files=pack_files([("main", model)]),
        boundaries={"features": stage.inputs, "model": stage.outputs},
        source=source,
        notes=(f"The ONNX file {note}: onnx-cpu only.",) if note else (),
    )


def _at_rim(graph: ModelProto, inputs: Sequence[Input], outputs: Sequence[TensorSpec]) -> ModelProto:
    """Rim dtypes, stated shapes, the file's own names outside and ours inside."""
    shapes: dict[str, Any] = {spec.name: spec.shape for spec in (*(item.spec for item in inputs), *outputs)}
    set_shapes(graph, lambda name: shapes[name])
    cast_rim(graph, [ONNX_OF_DTYPE[item.spec.rim_dtype] for item in inputs], [ONNX_OF_DTYPE[spec.rim_dtype] for spec in outputs])
    dims = {dim: dim for shape in shapes.values() for dim in shape if isinstance(dim, str)}
    return normalise(graph, Rim([item.spec.name for item in inputs], [spec.name for spec in outputs], dims=dims)).model


def _refuse_clash(inputs: Sequence[Input], outputs: Sequence[str]) -> None:
    if clash := [name for name in outputs if name in {item.spec.name for item in inputs}]:
        raise TraceError("An output of the ONNX file has the name of an input", got=clash[0], fix="Rename one of them in the file.")
