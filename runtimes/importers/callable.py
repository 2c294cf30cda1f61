"""Import a plain Python function as one declared host stage: its source file travels, and runs only where it is trusted."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...sdk.core.errors import PortsideError, SourceLine, TraceError
from ...sdk.core.manifest import Stage
from ...sdk.core.signature import Array, Shape, TensorSpec, dtype_of
from .frames import line_of_error, line_of_function
from .inputs import BATCH, Input, describe_inputs, dimension_sizes, signature_inputs, values
from .naming import named
from .program import ImportOptions, Program
from .signatures import make_signature

_WAY_OUT = "Define it with `def` at the top level of a file of its own; that file travels in the package."


def handles(model: object) -> bool:
    """True for whatever can be called."""
    return callable(model)


def input_names(model: Callable[..., Any], options: ImportOptions) -> tuple[str, ...]:
    """The function's parameters: required ones, and optional ones for which there is an example."""
    found = inspect.signature(model).parameters.values()
    if variadic := [item for item in found if item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD, item.POSITIONAL_ONLY)]:
        raise TraceError("A host function has parameters without fixed names", where=line_of_function(model), got=str(variadic[0]),
                         fix="Give every input a named parameter.")  # fmt: skip
    return tuple(item.name for item in found if item.default is item.empty or item.name in options.examples)


def run(model: Callable[..., Any], options: ImportOptions) -> Program:
    """A program of one host stage.

    Raises:
        TraceError: the function is a lambda, nested, a method or an object; or its outputs are not arrays.
        InputError: examples that do not fit its parameters.
    """
    if options.featurize or options.predict:
        raise TraceError("A plain function has no featurize and predict around it", where=line_of_function(model),
                         fix="Call them inside the function, or pack a torch module, an estimator or an ONNX file.")  # fmt: skip
    refuse_unless_plain(model)
    inputs = describe_inputs(input_names(model, options), options)
    stage, text = host_stage(model, 0, tuple(item.spec.name for item in inputs))
    outputs = output_specs(model, inputs)

    def source(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return call(model, {item.spec.name: arrays[item.spec.name] for item in inputs})

    return Program(
        signature=make_signature(signature_inputs(inputs), outputs, options),
        stages=(replace(stage, outputs=tuple(spec.name for spec in outputs)),),
        files={stage.file: text},
        boundaries={},
        source=source,
        notes=(f"Host stage {stage.name!r} is Python: it runs only on targets with Python, and only when trusted.",),
    )


def host_stage(function: Callable[..., Any], index: int, reads: Sequence[str]) -> tuple[Stage, bytes]:
    """The stage of a function (outputs still empty) and the text of its file. Raises TraceError for what is not importable."""
    refuse_unless_plain(function)
    name = function.__name__
    text = _source_text(function, line_of_function(function))
    return Stage("host", name, f"host/{index:02d}-{name}.py", tuple(reads), (), function=name), text.encode()


def refuse_unless_plain(function: Callable[..., Any]) -> None:
    """Raise TraceError for lambdas, nested functions, methods and objects: only a top-level function can be imported."""
    where = line_of_function(function)
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or name == "<lambda>" or "." in function.__qualname__:
        kind = "a lambda, nested, or a method" if inspect.isroutine(function) else f"an object of {type(function).__name__}"
        raise TraceError(f"A host stage must be a plain function, not {kind}", where=where, got=name or repr(function)[:80], fix=_WAY_OUT)


def output_specs(function: Callable[..., Any], inputs: Sequence[Input], single: str = "output") -> tuple[TensorSpec, ...]:
    """Outputs of a function on the examples; a dimension that follows the number of rows is "batch"."""
    sizes = dimension_sizes(inputs)
    few, more = ({**sizes, BATCH: count} if BATCH in sizes else sizes for count in (2, 3))
    first, second = (call(function, values(inputs, chosen), single) for chosen in (few, more))
    return tuple(_spec(name, first[name], second[name], function) for name in first)


def call(function: Callable[..., Any], arrays: Mapping[str, Array], single: str = "output") -> dict[str, Array]:
    """Run a host function on arrays by name. Raises TraceError with the line when it fails or returns no arrays."""
    try:
        result = function(**arrays)
    except PortsideError:
        raise
    except Exception as error:
        what = "The host function fails on the examples"
        raise TraceError(what, where=line_of_error(error), got=f"{type(error).__name__}: {error}") from error
    found = named(result, single, f"{single}_{{}}", line_of_function(function))
    return {name: np.asarray(value) for name, value in found.items()}


def _spec(name: str, first: Array, second: Array, function: Callable[..., Any]) -> TensorSpec:
    if first.ndim != second.ndim:
        raise TraceError(f"Output {name!r} changes its number of axes with the number of rows", where=line_of_function(function),
                         got=f"{first.shape} and {second.shape}")  # fmt: skip
    shape: Shape = tuple(size if size == other else BATCH if (size, other) == (2, 3) else f"{name}_dim{axis}"
                         for axis, (size, other) in enumerate(zip(first.shape, second.shape, strict=True)))  # fmt: skip
    return TensorSpec(name, dtype_of(first), shape, shape.index(BATCH) if BATCH in shape else None)


def _source_text(function: Callable[..., Any], where: SourceLine | None) -> str:
    """The text of the function's file. Raises TraceError where it cannot be found or cannot stand alone."""
    file = inspect.getsourcefile(function)
    if file is None or not Path(file).is_file():
        raise TraceError("The source file of a host function cannot be found", where=where, got=file, fix=_WAY_OUT)
    text = Path(file).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            line = SourceLine(file, node.lineno, text.splitlines()[node.lineno - 1].strip())
            raise TraceError("The file of a host function imports its neighbours, which do not travel", where=line,
                             fix="Put what it needs into the same file, or into an installed package.")  # fmt: skip
    tree = ast.parse(text)
    if not any(isinstance(node, ast.FunctionDef) and node.name == function.__name__ for node in tree.body):
        raise TraceError("A host function is not at the top level of its file", where=where, got=function.__name__, fix=_WAY_OUT)
    return text
