"""From examples to a scikit-learn model's table: text columns as codes, and what the fitted model accepts of each input."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ...sdk.core.codec.category import Categories
from ...sdk.core.codec.codec import Codec
from ...sdk.core.codec.step import Step, is_missing
from ...sdk.core.errors import InputError
from ...sdk.core.signature import MISSING_CODE, NUMPY, UNKNOWN_CODE, Array, TensorSpec
from .program import ImportOptions
from .sklearn_table import Features, RawColumn, Table, categories_of


@dataclass(frozen=True)
class Text:
    """Text columns: what a missing one looks like to the source, and the names of their codes.

    Attributes:
        names: input -> names of its codes.
        steps: input -> codec step, for those that arrived as text.
        missing: NaN or None.
    """

    names: Mapping[str, tuple[str, ...]]
    steps: Mapping[str, Step]
    missing: Any

    @property
    def codec(self) -> tuple[Mapping[str, Any], ...]:
        """The steps as data."""
        return Codec.of(dict(self.steps)).steps


def coded(model: Any, options: ImportOptions) -> tuple[dict[str, Any], Text]:
    """The examples with text as int32 codes, and the categories.

    Categories are those that the model's encoders know, in their order; where none reads the column, those of the examples.
    """
    columns = [str(name) for name in getattr(model, "feature_names_in_", ())]
    known, missing = categories_of(model, len(columns) or int(getattr(model, "n_features_in_", 1)))
    by_name = {columns[at]: _texts(values) for at, values in known.items() if at < len(columns)}
    names = {spec.name: spec.categories for spec in options.signature.inputs if spec.categories} if options.signature else {}
    examples, steps = dict(options.examples), dict[str, Step]()
    for name, values in options.examples.items():
        if is_text(values):
            names[name] = by_name.get(name) or _texts(sorted({str(value) for value in values if not is_missing(value)}))
            step = Categories(names[name])
            (examples[name],), steps[name] = step.encode(name, values), cast("Step", step)
        elif by_name.get(name) and name not in names and not options.featurize:
            raise InputError("The model knows this column as text, and the examples hold something else", field=name,
                             got=np.asarray(values).dtype, fix="Give the column as text and leave its codec step out.")  # fmt: skip
    return examples, Text(names, steps, missing)


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    """The distinct texts among categories, in order."""
    return tuple(dict.fromkeys(str(value) for value in values if isinstance(value, str)))


def is_text(values: Any) -> bool:
    """Whether a column holds text, missing cells aside."""
    array = np.asarray(values, object) if isinstance(values, list) else np.asarray(values)
    return array.dtype.kind in "UST" or (array.dtype == object and any(isinstance(value, str) for value in array.ravel()[:10_000].tolist()))


def table_of(model: Any, features: Features, text: Text) -> Table:
    """The model's columns, as these features hold them.

    Raises InputError where there are more or fewer features than the model was fitted on.
    """
    columns = [str(name) for name in getattr(model, "feature_names_in_", ())]
    dtypes = _dtypes(features, columns)
    expected = int(getattr(model, "n_features_in_", len(dtypes)))
    if len(dtypes) != expected:
        first = next(iter(columns), "x")
        raise InputError("The model was fitted on another number of columns", field=first, got=len(dtypes), expected=expected)
    names = columns or [""] * len(dtypes)
    held = [RawColumn(name, dtype, text.names.get(name), text.missing) for name, dtype in zip(names, dtypes, strict=True)]
    return Table(tuple(held), bool(columns))


def _dtypes(features: Features, columns: Sequence[str]) -> list[np.dtype[Any]]:
    if not isinstance(features, Mapping):
        return [features.numpy().dtype] * features.shape[1]
    single = next(iter(features.values()))
    if len(features) == 1 and single.ndim == 2:
        return [single.numpy().dtype] * single.shape[1]
    named = [features[name] for name in columns if name in features] if columns else list(features.values())
    return [tensor.numpy().dtype for tensor in named]


def accepted(spec: TensorSpec, answers: Any, inputs: Mapping[str, Array]) -> TensorSpec:
    """The spec with what the source accepts of it: missing values, unknown categories. Asked by trying.

    Args:
        answers: the source on typed tensors; raises where it refuses.
        inputs: one row that the source accepts.
    """
    if spec.categories is not None:
        unknown = _tries(answers, inputs, spec, UNKNOWN_CODE)
        return replace(spec, missing=_tries(answers, inputs, spec, MISSING_CODE), on_unknown=spec.on_unknown if unknown else "reject")
    if spec.dtype in ("f32", "f64", "f16"):
        return replace(spec, missing=_tries(answers, inputs, spec, np.nan))
    return spec


def _tries(answers: Any, inputs: Mapping[str, Array], spec: TensorSpec, value: float) -> bool:
    changed = inputs[spec.name].astype(NUMPY[spec.dtype])
    changed[...] = value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers({**inputs, spec.name: changed})
    except (ValueError, TypeError):
        return False
    return True
