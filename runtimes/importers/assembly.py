"""Put a traced graph together as a Program: signature, stage, files."""

from __future__ import annotations

from collections.abc import Sequence

from ...sdk.core.manifest import Stage
from ..onnx_weights import pack_files, stage_file
from .exported import exported_files
from .inputs import Input, signature_inputs
from .program import ImportOptions, Program, Source
from .signatures import make_signature
from .tracing import Traced


def graph_program(traced: Traced, inputs: Sequence[Input], source: Source, options: ImportOptions, notes: tuple[str, ...] = ()) -> Program:
    """A program of the one graph stage "main"."""
    stage = Stage("graph", "main", stage_file(0, "main", "onnx"), tuple(item.spec.name for item in inputs),
                  tuple(spec.name for spec in traced.outputs))  # fmt: skip
    files = pack_files([("main", traced.model)])
    return Program(
        signature=make_signature(signature_inputs(inputs), traced.outputs, options),
        stages=(stage,),
        files=files,
        boundaries=dict(traced.graph.boundaries),
        source=source,
        annotation_files=exported_files(traced, files),
        notes=notes,
    )
