"""scikit-learn's fitted encoders and imputers as symbolic columns.

Whatever maps one category to something is not re-implemented: the transformer itself is asked about every category,
about a missing value and about one it has never seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from torch import Tensor, nn

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import Array
from .sklearn_columns import FIRST_KNOWN, Column, Lookup, Number, Parts

UNSEEN = "\x00unseen"
"""Stands for a text category that the training data did not hold."""


def numbers(column: Lookup) -> Array:
    """A lookup's values as float64. Raises UnsupportedError where they are text."""
    try:
        return np.asarray(column.values, np.float64)
    except (TypeError, ValueError) as error:
        raise UnsupportedError("Text reaches an estimator that needs numbers", got=column.values[FIRST_KNOWN:][:5]) from error


class _IsMissing(nn.Module):
    """1 where x is NaN."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.isnan(x).to(torch.float32)


class _Replaced(nn.Module):
    """NaN where x is the number that stands for a missing value."""

    def __init__(self, marker: float) -> None:
        super().__init__()
        self.marker = marker

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x == self.marker, torch.full_like(x, float("nan")), x)


def imputer(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    statistics = np.asarray(estimator.statistics_, object)
    kept = [at for at, value in enumerate(statistics) if estimator.keep_empty_features or not is_missing(value)]
    held = _marked(columns, estimator.missing_values, parts)
    made: list[Column] = []
    for at in kept:
        column = held[at]
        if isinstance(column, Number):
            fill = float(statistics[at])
            made.append(replace(column, fill=fill) if np.isnan(column.fill) else column)
        else:
            made.append(replace(column, values=_asked(estimator, columns, at, slice(len(made), len(made) + 1))[:, 0]))
    if estimator.add_indicator and estimator.indicator_ is not None:
        made += indicator(estimator.indicator_, columns, parts)
    return made


def _marked(columns: Sequence[Column], marker: Any, parts: Parts) -> list[Column]:
    """Numbers in which `marker`, where it is a number, has become NaN."""
    at = [index for index, column in enumerate(columns) if isinstance(column, Number)]
    if is_missing(marker) or not isinstance(marker, int | float) or not at:
        return list(columns)
    replaced = parts.add([columns[index] for index in at], _Replaced(float(marker)), len(at))
    held = list(columns)
    for index, column in zip(at, replaced, strict=True):
        held[index] = column
    return held


def indicator(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    made: list[Column] = []
    held = _marked(columns, estimator.missing_values, parts)
    for place, at in enumerate(np.asarray(estimator.features_).tolist()):
        column = held[at]
        if isinstance(column, Number):
            made += parts.add([column], _IsMissing(), 1)
        else:
            made.append(replace(column, values=_asked(estimator, columns, at, slice(place, place + 1))[:, 0]))
    return made


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def encoder(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    """Every output of an encoder is a function of one category: ask the encoder for its table."""
    held = [as_category(column, categories) for column, categories in zip(columns, estimator.categories_, strict=True)]
    widths = _widths(estimator, len(held))
    ends = np.cumsum(widths).tolist()
    made: list[Column] = []
    for at, (column, width, end) in enumerate(zip(held, widths, ends, strict=True)):
        table = _asked(estimator, held, at, slice(end - width, end)).astype(np.float64)
        made += [replace(column, values=table[:, index]) for index in range(width)]
    return made


def _widths(estimator: Any, columns: int) -> list[int]:
    """How many outputs an encoder makes of each column."""
    if isinstance(estimator, OneHotEncoder):
        return [int(width) for width in estimator._n_features_outs]
    per_class = isinstance(estimator, TargetEncoder) and estimator.target_type_ == "multiclass"
    return [len(np.asarray(estimator.classes_)) if per_class else 1] * columns


def as_category(column: Column, categories: Any) -> Lookup:
    """A column of numbers as a category whose domain is the encoder's; lookups stay.

    Raises UnsupportedError for numbers that were scaled, and for text categories of numbers.
    """
    if isinstance(column, Lookup):
        return column
    if not column.plain:
        raise UnsupportedError("A scaled number is encoded as a category", fix="Encode the column before it is scaled.")
    try:
        known = np.asarray([value for value in categories if not is_missing(value)], np.float64)
    except (TypeError, ValueError) as error:
        raise UnsupportedError("An encoder knows text, but its column holds numbers", got=list(categories)[:5]) from error
    unseen = np.floor(np.max(np.abs(known), initial=0.0)) + 12345.5
    return Lookup(column.source, np.concatenate([[unseen, column.fill], known]), known)


def _asked(estimator: Any, columns: Sequence[Column], at: int, span: slice) -> Array:
    """What the transformer makes of each value of column `at`: (rows, outputs in `span`). Refused values become NaN."""
    column = columns[at]
    assert isinstance(column, Lookup)  # noqa: S101  callers ask about lookups
    rows = np.empty((len(column.values), len(columns)), object)
    for index, other in enumerate(columns):
        rows[:, index] = column.values if index == at else _typical(other)
    if all(isinstance(other, Number) or other.values.dtype.kind == "f" for other in columns):
        rows = rows.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _dense(estimator.transform(rows))[:, span]
        except ValueError:
            return np.concatenate([_row(estimator, rows[index : index + 1], span) for index in range(len(rows))])


def _row(estimator: Any, row: Array, span: slice) -> Array:
    try:
        return _dense(estimator.transform(row))[:, span]
    except ValueError:  # the source refuses this value, and so does the signature
        return np.full((1, span.stop - span.start), np.nan)


def _typical(column: Column) -> Any:
    return 0.0 if isinstance(column, Number) else column.values[-1]


def _dense(result: Any) -> Array:
    return np.asarray(result.toarray() if hasattr(result, "toarray") else result)
