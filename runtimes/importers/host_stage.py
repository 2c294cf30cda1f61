"""A featurize that cannot be traced, declared with `host=[...]`: it runs as Python ahead of the traced model and predict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ...sdk.core.errors import TraceError
from ...sdk.core.signature import Array
from .callable import call, host_stage, input_names, output_specs
from .frames import line_of_function
from .inputs import complete, describe_inputs, signature_inputs
from .program import ImportOptions, Program
from .signatures import make_signature

FEATURES = "features"
"""Name of a host function's only output."""


class _Importer(Protocol):
    def run(self, model: Any, options: ImportOptions) -> Program: ...


def run(importer: _Importer, model: object, options: ImportOptions) -> Program:
    """The importer's program on what the host function makes, behind a host stage.

    Raises:
        TraceError: `host` names something else than featurize, or its outputs clash with the inputs' names.
    """
    function = _declared(options)
    inputs = describe_inputs(input_names(function, options), options)
    names = tuple(item.spec.name for item in inputs)
    stage, text = host_stage(function, 0, names)
    specs = output_specs(function, inputs, FEATURES)
    if clash := [spec.name for spec in specs if spec.name in names]:
        raise TraceError("A host function returns a value under the name of an input", where=line_of_function(function), got=clash[0],
                         fix="Give it another key in the returned dict.")  # fmt: skip
    features = call(function, {item.spec.name: item.example for item in inputs}, FEATURES)
    made = tuple(spec.name for spec in specs)
    dynamic = {name: axes for name, axes in options.dynamic.items() if name in made}
    inner = replace(options, featurize=None, examples=features, dynamic=dynamic, host=(), state={}, signature=None, image={})
    program = _later(importer.run(model, inner))

    def source(arrays: Mapping[str, Array]) -> dict[str, Array]:
        held = complete(arrays, options.image)
        return program.source(call(function, {name: held[name] for name in names}, FEATURES))

    return replace(
        program,
        signature=make_signature(signature_inputs(inputs), program.signature.outputs, options),
        stages=(replace(stage, outputs=made), *program.stages),
        files={stage.file: text, **program.files},
        boundaries={**program.boundaries, "features": made},
        source=source,
        notes=(*program.notes, f"Host stage {stage.name!r} is Python: it runs only on targets with Python, and only when trusted."),
    )


def _declared(options: ImportOptions) -> Callable[..., Any]:
    """featurize, if it is the one function that `host` names."""
    name = getattr(options.featurize, "__name__", None)
    if options.featurize is None or options.host != (name,):
        predict = getattr(options.predict, "__name__", None)
        traced = "Do in torch operations what predict does."
        way = traced if predict in options.host else "Pass the function that is to run as Python as featurize=."
        raise TraceError("host= can name featurize only", got=", ".join(options.host), expected=name or "the name of featurize", fix=way)
    return options.featurize


def _later(program: Program) -> Program:
    """The program with its stage files numbered one higher, so that the host stage is number 0."""

    def moved(path: str) -> str:
        return re.sub(r"^(program|host)/(\d+)-", lambda match: f"{match[1]}/{int(match[2]) + 1:02d}-", path)

    stages = tuple(replace(stage, file=moved(stage.file)) for stage in program.stages)
    return replace(program, stages=stages, files={moved(path): data for path, data in program.files.items()})
