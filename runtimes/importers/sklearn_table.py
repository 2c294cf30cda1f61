"""The rows that a scikit-learn model reads: raw columns, and the three forms in which they travel.

- typed inputs: one tensor `x` (batch, n), or one (batch,) tensor per column; text is int32 codes;
- native: what the source was fitted on, an array or a DataFrame of native dtypes with category names;
- raw: one float32 matrix (batch, columns) in the program, codes as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from ...sdk.core.errors import InputError
from ...sdk.core.signature import MISSING_CODE, Array
from .sklearn_columns import FIRST_KNOWN, RAW, Column, Lookup, Number
from .sklearn_encoders import UNSEEN

Features: TypeAlias = "Tensor | Mapping[str, Tensor]"


@dataclass(frozen=True)
class RawColumn:
    """One column that the source reads.

    Attributes:
        name: as in the source's DataFrame; "" in a matrix.
        dtype: native dtype of its numbers.
        categories: names of the codes, for text.
        missing: what stands for a missing text: NaN or None.
    """

    name: str
    dtype: np.dtype[Any]
    categories: tuple[str, ...] | None = None
    missing: Any = np.nan

    @property
    def values(self) -> Array:
        """What each code means, from UNKNOWN_CODE upwards."""
        return np.array([UNSEEN, self.missing, *(self.categories or ())], object)


@dataclass(frozen=True)
class Table:
    """The columns of a model in order; `framed` says that it was fitted on a DataFrame."""

    columns: tuple[RawColumn, ...]
    framed: bool

    def start(self) -> list[Column]:
        """The columns before any preprocessing."""
        return [
            Number((RAW, at)) if column.categories is None else Lookup((RAW, at), column.values) for at, column in enumerate(self.columns)
        ]  # fmt: skip

    def raw(self, features: Features) -> Tensor:
        """(batch, columns) float32 in the program."""
        if isinstance(features, Tensor):
            return features.to(torch.float32)
        held = self._named(features)
        if len(held) == 1 and held[0].ndim == 2:
            return held[0].to(torch.float32)
        return torch.stack([column.reshape(-1).to(torch.float32) for column in held], 1)

    def native(self, features: Features) -> Any:
        """What the source reads: an array, or a DataFrame with category names."""
        if isinstance(features, Tensor):
            return self.framed_as(list(features.detach().cpu().numpy().T))
        held = self._named(features)
        if len(held) == 1 and held[0].ndim == 2:
            return self.native(held[0])
        return self.framed_as([column.detach().cpu().numpy().reshape(-1) for column in held])

    def framed_as(self, columns: Sequence[Array]) -> Any:
        """The source's own container of these columns, codes as names."""
        cells = [self._cells(column, values) for column, values in zip(self.columns, columns, strict=True)]
        if not self.framed:
            return np.stack(cells, axis=1)
        pandas = import_module("pandas")  # a model that was fitted on a DataFrame brings pandas along
        named = zip(self.columns, cells, strict=True)
        return pandas.DataFrame({column.name: pandas.Series(cell, dtype=cell.dtype) for column, cell in named})

    def probed(self, raw: Array) -> Any:
        """The source's own container of raw numbers (rows, columns) float64, in native float dtypes."""
        dtypes = [np.float32 if column.dtype == np.float32 else np.float64 for column in self.columns]
        return self.framed_as([
            values.astype(dtype) if column.categories is None else values.astype(np.int64)
            for column, dtype, values in zip(self.columns, dtypes, raw.T, strict=True)
        ])  # fmt: skip

    def _cells(self, column: RawColumn, values: Array) -> Array:
        if column.categories is None:
            return values
        codes = values.astype(np.int64) + FIRST_KNOWN
        return column.values[np.clip(codes, 0, len(column.values) - 1)]

    def _named(self, features: Mapping[str, Tensor]) -> list[Tensor]:
        held = list(features.values())
        if len(held) == 1 and len(self.columns) > 1:
            return held
        if not self.framed:
            return held
        names = [column.name for column in self.columns]
        if missing := [name for name in names if name not in features]:
            raise InputError("The features lack a column of the model", field=missing[0], got=list(features), expected=names)
        return [features[name] for name in names]


def typical(table: Table, raw: Array) -> Array:
    """A row (columns,) float64 that the source accepts: the first example, or zeros and known categories for its gaps."""
    row = raw[0].astype(np.float64)
    for at, column in enumerate(table.columns):
        if column.categories is None and not np.isfinite(row[at]):
            finite = raw[:, at][np.isfinite(raw[:, at])]
            row[at] = finite[0] if len(finite) else 0.0
        if column.categories is not None and row[at] <= MISSING_CODE:
            row[at] = 0 if column.categories else row[at]
    return row


def categories_of(estimator: Any, width: int) -> tuple[dict[int, list[Any]], Any]:
    """What encoders know of each raw column, in their order, and what stands for a missing text.

    Args:
        estimator: fitted, any nesting of pipelines and column transformers.
        width: how many raw columns there are.
    """
    found: dict[int, list[Any]] = {}
    markers: list[Any] = []
    _walk(estimator, list(range(width)), found, markers)
    known = [value for values in found.values() for value in values]
    return found, None if any(value is None for value in [*known, *markers]) else np.nan


def _walk(estimator: Any, columns: list[int | None], found: dict[int, list[Any]], markers: list[Any]) -> list[int | None]:
    """Follow columns through an estimator; returns where its outputs come from, as far as text can survive."""
    if estimator is None or isinstance(estimator, str):
        return [] if estimator == "drop" else columns
    if hasattr(estimator, "steps"):
        for _, step in estimator.steps:
            columns = _walk(step, columns, found, markers)
        return columns
    if hasattr(estimator, "transformers_"):
        routes = [(step, estimator._transformer_to_input_indices[name]) for name, step, _ in estimator.transformers_]
        return [at for step, chosen in routes for at in _walk(step, [columns[index] for index in chosen], found, markers)]
    if hasattr(estimator, "transformer_list"):
        return [at for _, step in estimator.transformer_list for at in _walk(step, columns, found, markers)]
    if getattr(estimator, "_preprocessor", None) is not None:
        return _walk(estimator._preprocessor, columns, found, markers)
    if hasattr(estimator, "categories_") and isinstance(estimator.categories_, list):
        for at, values in zip(columns, cast("list[Any]", estimator.categories_), strict=False):
            if at is not None:
                found.setdefault(at, []).extend(np.asarray(values, object).tolist())
        return [None] * _width(estimator, len(columns))
    if hasattr(estimator, "statistics_"):
        markers.append(getattr(estimator, "missing_values", np.nan))
        empty = [isinstance(value, float) and np.isnan(value) for value in np.asarray(estimator.statistics_, object).tolist()]
        return [at for at, gone in zip(columns, empty, strict=False) if not gone or estimator.keep_empty_features]
    if getattr(estimator, "func", estimator) is None:
        return columns
    return [None] * _width(estimator, len(columns))


def _width(estimator: Any, columns: int) -> int:
    """How many columns a transformer makes; as many as it reads where it does not say."""
    try:
        return len(estimator.get_feature_names_out())
    except (AttributeError, ValueError):
        return columns
