"""Import a fitted scikit-learn estimator or pipeline, with the functions around it.

Preprocessing becomes symbolic columns, linear and neural models torch modules, trees arrays; what remains is traced by
torch like any other model. Text columns get a codec step whose categories are those that the fitted encoders know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ...sdk.core.errors import InputError
from ...sdk.core.signature import NUMPY, Array, TensorSpec
from .eager import inner_of, rehearse, source_of, steady
from .exported import exported_files
from .inputs import BATCH, Input, describe_inputs, dimension_sizes, signature_inputs, values
from .opaque import Opaques
from .pipeline import Pipeline, parameters
from .probe import probe
from .program import ImportOptions, Program, Source
from .signatures import make_signature
from .sklearn_fallback import Fallback, inlined
from .sklearn_heads import Classes
from .sklearn_inputs import Text, accepted, coded, table_of
from .sklearn_model import SourceModel, TracedModel, classes_of, lower
from .sklearn_stages import stages_of
from .sklearn_table import Features, typical
from .torch_module import captured
from .tracing import Traced, trace
from .traps import explaining


def handles(model: object) -> bool:
    """True for scikit-learn estimators, and for subclasses of them."""
    return any(kind.__module__.partition(".")[0] == "sklearn" for kind in type(model).__mro__)


def input_names(model: Any, options: ImportOptions) -> tuple[str, ...]:
    """featurize's parameters, else the columns of the DataFrame that the model was fitted on, else the one matrix's name."""
    given = tuple(options.examples)
    if options.featurize:
        return parameters(options.featurize, given)
    columns = tuple(str(name) for name in getattr(model, "feature_names_in_", ()))
    if len(given) == 1 and np.ndim(options.examples[given[0]]) == 2:
        return given
    return columns or (given if len(given) == 1 else ("x",))


def run(model: Any, options: ImportOptions) -> Program:
    """Import a fitted estimator.

    Raises:
        UnsupportedError: a step or an option of one that has no lowering; names it and the way out.
        InputError: examples that do not fit the model.
        TraceError: featurize or predict cannot be traced.
    """
    _check_fitted(model)
    examples, text = coded(model, options)
    options = replace(options, examples=examples)
    inputs = _with_categories(describe_inputs(input_names(model, options), options), text)
    features = _features(options, inputs)
    table, classes, fallback = table_of(model, features, text), classes_of(model), Fallback(Opaques())
    row = typical(table, table.raw(features).to(torch.float64).numpy())
    lowered = lower(model, table, row, fallback)
    modules = {"model": lowered, **captured(options.featurize, options.predict, model)}
    fitted, stand_in = SourceModel(model, table, classes), TracedModel(model, table, lowered)
    pipeline = Pipeline(options.featurize, options.predict, fitted, fitted.recorder)
    source = source_of(pipeline, inputs, options.image, tuple(modules.values()))
    rehearse(inputs, source, tuple(modules.values()))
    with steady(tuple(modules.values())):
        body = replace(pipeline, model=stand_in, recorder=stand_in.recorder)
        traced = trace(body, _traced_inputs(inputs, options), modules, lambda graph: inlined(graph, fallback.opaques.held))
    source = _narrowed(source, traced)
    probe(traced.model, inputs, source, traced.watch.lines, traced.graph.traces, traced.edges)
    featurized = {group: names for group, names in traced.graph.boundaries.items() if group == "features"}
    inner = inner_of(pipeline, inputs, options.image, featurized, tuple(modules.values()))
    return replace(_program(traced, inputs, source, options, text, fallback, classes), inner=inner)


def _check_fitted(model: Any) -> None:
    """Raise InputError for an estimator that has learned nothing yet."""
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InputError("The model is not fitted", got=type(model).__name__, expected="a trained estimator",
                         fix="Call model.fit(...) before portside.pack.") from error  # fmt: skip


def _with_categories(inputs: tuple[Input, ...], text: Text) -> tuple[Input, ...]:
    return tuple(
        replace(item, spec=replace(item.spec, categories=text.names[item.spec.name])) if item.spec.name in text.names else item
        for item in inputs
    )


def _features(options: ImportOptions, inputs: tuple[Input, ...]) -> Features:
    """What the model is given for the examples, in native dtypes. Raises InputError for something that is no table."""
    arrays = values(inputs, dimension_sizes(inputs))
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    with steady(), explaining("featurize fails on the examples"):
        features = Pipeline(options.featurize, options.predict, _nothing).features(tensors)
    if isinstance(features, torch.Tensor) and features.ndim == 2:
        return features
    if isinstance(features, Mapping) and all(isinstance(held, torch.Tensor) for held in features.values()):
        return dict(features)
    raise InputError("A scikit-learn model reads a matrix, or columns by name", got=type(features).__name__,
                     fix="Let featurize return one (batch, n) tensor, or a dict of (batch,) tensors.")  # fmt: skip


def _nothing(**columns: torch.Tensor) -> None:
    """Stands for the model while only featurize is run."""


def _traced_inputs(inputs: tuple[Input, ...], options: ImportOptions) -> tuple[Input, ...]:
    """Without functions of the user the program never widens its inputs: they are traced in rim dtypes."""
    if options.featurize or options.predict:
        return inputs
    return tuple(replace(item, spec=replace(item.spec, dtype=item.spec.rim_dtype)) for item in inputs)


def _narrowed(source: Source, traced: Traced) -> Source:
    """The source with its answers in the dtypes of the program's outputs."""

    def narrowed(arrays: Mapping[str, Array]) -> dict[str, Array]:
        answers = source(arrays)
        return {spec.name: answers[spec.name].astype(NUMPY[spec.dtype]) for spec in traced.outputs}

    return narrowed


def _program(traced: Traced, inputs: tuple[Input, ...], source: Source, options: ImportOptions, text: Text, fallback: Fallback,
             classes: Classes | None) -> Program:  # fmt: skip
    stages, files = stages_of(traced.model, fallback.opaques.held, fallback.only, fallback.notes[0] if fallback.notes else None)
    row = values(inputs, dimension_sizes(inputs) | {BATCH: 1})
    specs = [accepted(spec, source, row) for spec in signature_inputs(inputs)]
    outputs = [_named(spec, options, classes) for spec in traced.outputs]
    return Program(
        signature=make_signature(specs, outputs, options), stages=stages, files=files,
        boundaries=dict(traced.graph.boundaries), source=source, codec=text.codec, notes=fallback.notes,
        annotation_files=exported_files(traced, files),
    )  # fmt: skip


def _named(spec: TensorSpec, options: ImportOptions, classes: Classes | None) -> TensorSpec:
    """A default label of a classifier of text with its names."""
    named = spec.name == "label" and options.predict is None and classes is not None and classes.names is not None
    return replace(spec, categories=classes.names) if named and classes is not None else spec
