"""Import a torch module: featurize -> model -> predict traced into one graph stage "main"."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from ...sdk.core.signature import Array
from .assembly import graph_program
from .eager import inner_of, rehearse, source_of, steady
from .inputs import describe_inputs
from .pipeline import Pipeline, parameters
from .probe import probe
from .program import ImportOptions, Program
from .tracing import trace


def handles(model: object) -> bool:
    """True for torch modules."""
    return isinstance(model, torch.nn.Module)


def input_names(model: Callable[..., Any], options: ImportOptions) -> tuple[str, ...]:
    """Names of the inputs: featurize's parameters, else those of the model's forward that have examples."""
    return parameters(options.featurize or model, tuple(options.examples))


def run(model: torch.nn.Module, options: ImportOptions) -> Program:
    """Trace a torch module and the functions around it.

    Raises:
        TraceError: what cannot be traced or traces wrongly, with the user's line and the way out.
        InputError: examples that do not fit the functions.
    """
    inputs = describe_inputs(input_names(model, options), options)
    pipeline = Pipeline(options.featurize, options.predict, model)
    modules = {"model": model, **captured(options.featurize, options.predict, model)}
    source = source_of(pipeline, inputs, options.image, tuple(modules.values()))
    rehearse(inputs, source, tuple(modules.values()))
    with recording(pipeline, model), steady(tuple(modules.values())):
        traced = trace(pipeline, inputs, modules)
    probe(traced.model, inputs, source, traced.watch.lines, traced.graph.traces, traced.edges)
    inner = inner_of(pipeline, inputs, options.image, traced.graph.boundaries, tuple(modules.values()))

    def recorded(arrays: Mapping[str, Array]) -> dict[str, Array]:
        with recording(pipeline, model):
            return inner(arrays)

    return replace(graph_program(traced, inputs, source, options), inner=recorded)


@contextmanager
def recording(pipeline: Pipeline, model: torch.nn.Module) -> Generator[None]:
    """Tell the pipeline's recorder what the model returns, by a forward hook that is removed afterwards."""

    def hook(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        pipeline.recorder.record(output)

    handle = model.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def captured(featurize: Callable[..., Any] | None, predict: Callable[..., Any] | None, model: object) -> dict[str, torch.nn.Module]:
    """Modules that the functions use besides the model (globals, closures, the object of a bound method), by name."""
    found: dict[str, torch.nn.Module] = {}
    for function in (featurize, predict):
        for name, value in _reached(function).items():
            if isinstance(value, torch.nn.Module) and value is not model and not any(value is held for held in found.values()):
                found[f"{name}_module"] = value
    return found


def _reached(function: Callable[..., Any] | None) -> Mapping[str, Any]:
    if function is None:
        return {}
    if isinstance(function, torch.nn.Module):
        return {"featurize": function}
    owner = getattr(function, "__self__", None)
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not inspect.isfunction(plain):
        return {"functions": owner}
    scope = inspect.getclosurevars(plain)
    return {"functions": owner, **scope.globals, **scope.nonlocals}
