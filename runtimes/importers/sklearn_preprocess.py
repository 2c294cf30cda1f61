"""scikit-learn's fitted transformers as symbolic columns (`sklearn_columns.py`).

Each function takes a fitted transformer, the columns it reads and the parts made so far, and returns the columns it
makes. Encoders and imputers are in `sklearn_encoders.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from torch import Tensor, nn

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import Array
from .sklearn_columns import Column, Lookup, Number, Parts
from .sklearn_encoders import encoder, imputer, indicator, numbers

Transform: TypeAlias = Callable[[Any, Sequence[Column], Parts], list[Column]]


def transform(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    """The columns that a fitted transformer makes of `columns`.

    Raises UnsupportedError for a transformer, or an option of one, that has no lowering here.
    """
    if estimator is None or isinstance(estimator, str):
        return [] if estimator == "drop" else list(columns)
    if lower := TRANSFORMERS.get(type(estimator)):
        return lower(estimator, columns, parts)
    if parts.fallback is not None:
        return parts.fallback(estimator, columns, parts)
    known = ", ".join(sorted(kind.__name__ for kind in TRANSFORMERS))
    raise UnsupportedError(f"{type(estimator).__name__} has no lowering of Portside's own", expected=known)


def _pipeline(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    held = list(columns)
    for _, step in estimator.steps:
        held = transform(step, held, parts)
    return held


def _union(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    if estimator.transformer_weights:
        raise UnsupportedError("A FeatureUnion with transformer_weights has no lowering", fix="Scale inside the transformers.")
    return [column for _, step in estimator.transformer_list for column in transform(step, columns, parts)]


def _column_transformer(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    made: list[Column] = []
    for name, step, _ in estimator.transformers_:
        chosen = estimator._transformer_to_input_indices[name]
        made += transform(step, [columns[index] for index in chosen], parts)
    return made


def _affine(columns: Sequence[Column], parts: Parts, scale: Any, shift: Any, low: float = -np.inf, high: float = np.inf) -> list[Column]:
    """`scale * (x - shift)`, clipped, per column; `scale` and `shift` are arrays or None."""
    scales = np.ones(len(columns)) if scale is None else np.asarray(scale, np.float64)
    shifts = np.zeros(len(columns)) if shift is None else np.asarray(shift, np.float64)
    made: list[Column] = []
    for column, by, off in zip(columns, scales.tolist(), shifts.tolist(), strict=True):
        if isinstance(column, Number):
            made.append(column.then(by, off, low, high))
        else:
            values = np.clip(by * (numbers(column) - off), low, high)
            made.append(Lookup(column.source, values, column.domain))
    return made


def _standard(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    scale = None if estimator.scale_ is None else 1.0 / estimator.scale_
    return _affine(columns, parts, scale, estimator.mean_ if estimator.with_mean else None)


def _robust(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    scale = 1.0 / estimator.scale_ if estimator.with_scaling else None
    return _affine(columns, parts, scale, estimator.center_ if estimator.with_centering else None)


def _minmax(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    low, high = estimator.feature_range if estimator.clip else (-np.inf, np.inf)
    return _affine(columns, parts, estimator.scale_, -estimator.min_ / estimator.scale_, low, high)


def _maxabs(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    return _affine(columns, parts, 1.0 / estimator.scale_, None)


class _Norm(nn.Module):
    """Rows divided by their norm; a row of zeros stays."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        sizes = {"l1": lambda: x.abs().sum(1), "l2": lambda: (x * x).sum(1).sqrt(), "max": lambda: x.abs().amax(1)}
        size = sizes[self.norm]()[:, None]
        return x / torch.where(size == 0, torch.ones_like(size), size)


class _Elementwise(nn.Module):
    """One function on every number."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


FUNCTIONS: dict[Any, Callable[[Tensor], Tensor]] = {
    np.log1p: torch.log1p, np.log: torch.log, np.exp: torch.exp, np.expm1: torch.expm1, np.sqrt: torch.sqrt, np.abs: torch.abs,
    np.square: torch.square, np.sin: torch.sin, np.cos: torch.cos, np.tanh: torch.tanh,
}  # fmt: skip


def _function(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    if estimator.func is None:
        return list(columns)
    if estimator.func not in FUNCTIONS or estimator.kw_args:
        known = ", ".join(function.__name__ for function in FUNCTIONS)
        raise UnsupportedError("A FunctionTransformer's function has no lowering", got=getattr(estimator.func, "__name__", "a function"),
                               expected=known, fix="Move it into featurize, written with torch.")  # fmt: skip
    return parts.add(columns, _Elementwise(FUNCTIONS[estimator.func]), len(columns))


def _normalizer(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    return parts.add(columns, _Norm(estimator.norm), len(columns))


class _Above(nn.Module):
    """1 where x is above the threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return (x > self.threshold).to(torch.float32)


def _binarizer(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    return parts.add(columns, _Above(float(estimator.threshold)), len(columns))


class Linear(nn.Module):
    """x @ weight + bias."""

    def __init__(self, weight: Array, bias: Array | None) -> None:
        super().__init__()
        self.weight = nn.Buffer(torch.tensor(np.asarray(weight, np.float32)))
        self.bias = None if bias is None else nn.Buffer(torch.tensor(np.asarray(bias, np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


def _pca(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    weight = np.asarray(estimator.components_, np.float64).T
    if estimator.whiten:
        weight = weight / np.maximum(np.sqrt(estimator.explained_variance_), np.finfo(np.float64).eps)
    centred = _affine(columns, parts, None, estimator.mean_)
    return parts.add(centred, Linear(weight, None), weight.shape[1])


def _svd(estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
    return parts.add(columns, Linear(estimator.components_.T, None), len(estimator.components_))


TRANSFORMERS: dict[type, Transform] = {
    Pipeline: _pipeline, FeatureUnion: _union, ColumnTransformer: _column_transformer, StandardScaler: _standard,
    RobustScaler: _robust, MinMaxScaler: _minmax, MaxAbsScaler: _maxabs, Normalizer: _normalizer, Binarizer: _binarizer,
    FunctionTransformer: _function, PCA: _pca, TruncatedSVD: _svd,
    SimpleImputer: imputer, MissingIndicator: indicator, OneHotEncoder: encoder,
    OrdinalEncoder: encoder, TargetEncoder: encoder,
}  # fmt: skip
