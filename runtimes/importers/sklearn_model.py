"""A scikit-learn model on tensors, twice: the fitted source itself, and the module that is traced in its place.

Both have the methods that a user's `predict(model, features)` calls, and answer the default outputs when called:
classifier `label` and `probabilities` (or `score`), regressor `value`, transformer `features`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import Array
from ..trees import Trees
from .opaque import Opaques, Output
from .pipeline import Recorder
from .sklearn_columns import Assembly, Column, Parts
from .sklearn_encoders import encoder
from .sklearn_estimators import ESTIMATORS, head
from .sklearn_fallback import Fallback
from .sklearn_heads import Classes, Head, methods_of
from .sklearn_preprocess import transform
from .sklearn_table import Features, Table
from .sklearn_thresholds import Source, fold
from .sklearn_trees import Ensemble, ensemble, is_trees


class Model:
    """The face that a user's `predict` sees. Subclasses answer one method at a time."""

    def __init__(self, has: Sequence[str], classifies: bool) -> None:
        self.has, self.classifies = tuple(has), classifies
        self.recorder = Recorder()

    def answer(self, method: str, features: Features) -> Tensor:
        """What the model's method returns for these features."""
        raise NotImplementedError

    def predict(self, features: Features) -> Tensor:
        """Labels (text: their index) or values."""
        return self._told("predict", features)

    def predict_proba(self, features: Features) -> Tensor:
        """(batch, classes) probabilities."""
        return self._told("predict_proba", features)

    def decision_function(self, features: Features) -> Tensor:
        """(batch,) or (batch, classes) scores."""
        return self._told("decision_function", features)

    def transform(self, features: Features) -> Tensor:
        """(batch, columns)."""
        return self._told("transform", features)

    def __call__(self, features: Features | None = None, /, **columns: Tensor) -> dict[str, Tensor]:
        """The default outputs."""
        given: Features = columns if features is None else features
        return {name: self._told(method, given) for name, method in self.outputs.items()}

    @property
    def outputs(self) -> dict[str, str]:
        """Default output -> method."""
        if "predict" not in self.has:
            return {"features": "transform"}
        if not self.classifies:
            return {"value": "predict"}
        if "predict_proba" in self.has:
            return {"label": "predict", "probabilities": "predict_proba"}
        return {"label": "predict"} | ({"score": "decision_function"} if "decision_function" in self.has else {})

    def _told(self, method: str, features: Features) -> Tensor:
        if method not in self.has:
            raise UnsupportedError(f"The model has no {method}", expected=", ".join(self.has))
        return self.answer(method, features)


class SourceModel(Model):
    """The fitted estimator on native rows. Labels leave as this program gives them."""

    def __init__(self, estimator: Any, table: Table, classes: Classes | None) -> None:
        super().__init__(methods_of(estimator), classes is not None)
        self.estimator, self.table, self.classes = estimator, table, classes

    def answer(self, method: str, features: Features) -> Tensor:
        """The estimator's own method on one thread (n_jobs sums trees in any order), without its warnings."""
        with warnings.catch_warnings(), joblib.parallel_config(backend="sequential"):
            warnings.simplefilter("ignore")
            result: Any = getattr(self.estimator, method)(self.table.native(features))
        if hasattr(result, "toarray"):
            result = result.toarray()
        if method == "predict" and self.classes is not None:
            return torch.from_numpy(self.classes.answer(result))
        values = np.array(result, np.float64)
        return torch.from_numpy(values[:, 0] if method == "predict" and values.shape[1:] == (1,) else values)


class TracedModel(Model):
    """The lowered model: an assembly of columns and a head. Its score is the "model" boundary."""

    def __init__(self, estimator: Any, table: Table, module: Lowered) -> None:
        super().__init__(methods_of(estimator), module.head.classes is not None)
        self.table, self.module = table, module
        self._last: tuple[Any, Tensor] | None = None

    def answer(self, method: str, features: Features) -> Tensor:
        """The head's answer; the score is computed once for all methods on the same features."""
        if self._last is None or self._last[0] is not features:
            score = self.module(self.table.raw(features))
            self.recorder.record(score)
            self._last = features, score
        return self.module.head.answer(method, self._last[1])


class Lowered(nn.Module):
    """raw (batch, columns) float32 -> the head's features -> score (batch, k)."""

    def __init__(self, assembly: Assembly, head: Head) -> None:
        super().__init__()
        self.assembly, self.head = assembly, head

    def forward(self, raw: Tensor) -> Tensor:
        return self.head(self.assembly(raw))


class TreesCall(nn.Module):
    """A tree ensemble as one opaque node of the traced graph."""

    def __init__(self, trees: Trees, opaques: Opaques) -> None:
        super().__init__()
        self.trees, self.opaques = trees, opaques

    def forward(self, x: Tensor) -> Tensor:
        return self.opaques.call("Trees", self.trees, [x], [Output(torch.float32, (x.shape[0], self.trees.outputs))])[0]


def split_steps(estimator: Any) -> tuple[list[Any], Any]:
    """Preprocessing steps, and the final estimator, of any nesting of pipelines. A transformer is all preprocessing."""
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps]
        before, final = split_steps(steps[-1])
        return [*steps[:-1], *before], final
    return ([], estimator) if hasattr(estimator, "predict") else ([estimator], None)


def lower(estimator: Any, table: Table, example: Array, fallback: Fallback) -> Lowered:
    """The module of a fitted estimator.

    Args:
        example: (columns,) float64 raw row that the source accepts.
        fallback: for steps that have no lowering.

    Raises UnsupportedError for a step that has no lowering.
    """
    steps, final = split_steps(estimator)
    parts = Parts(fallback=fallback.transform)
    columns: list[Column] = table.start()
    for step in steps:
        columns = transform(step, columns, parts)
    if final is not None and is_trees(final):
        return _with_trees(ensemble(final), columns, parts, _source(steps, table, example), fallback.opaques)
    return Lowered(Assembly(columns, parts), _head(final, len(columns), fallback))


def _head(final: Any, columns: int, fallback: Fallback) -> Head:
    if final is None:
        return Head(nn.Identity(), "features", has=("transform",))
    return head(final) if type(final) in ESTIMATORS else fallback.head(final, columns)


def _with_trees(found: Ensemble, columns: list[Column], parts: Parts, source: Source, opaques: Opaques) -> Lowered:
    held = list(columns)
    if found.encoder is not None:
        encoded = encoder(found.encoder, [columns[at] for at in found.categories], parts)
        for at, column in zip(found.categories, encoded, strict=True):
            held[at] = column
    trees, read = fold(found, held, source)
    has = ("predict",) if found.classes is None else ("predict", "predict_proba")
    has += () if found.link in ("value", "exp", "proba") else ("decision_function",)
    top = Head(TreesCall(trees, opaques), found.link, found.classes, has, found.closed)
    return Lowered(Assembly(read, parts), top)


def _source(steps: Sequence[Any], table: Table, example: Array) -> Source:
    """The source's preprocessing on chosen raw numbers."""

    def probe(raw: Array) -> Array:
        held: Any = table.probed(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for step in steps:
                held = step.transform(held) if not isinstance(step, str) and step is not None else held
        held = held.toarray() if hasattr(held, "toarray") else held
        return np.asarray(held)

    narrow = frozenset(at for at, column in enumerate(table.columns) if column.dtype == np.float32)
    return Source(probe, example, narrow)


def classes_of(estimator: Any) -> Classes | None:
    """Of a fitted classifier, else None."""
    _, final = split_steps(estimator)
    return Classes.of(final.classes_) if final is not None and hasattr(final, "classes_") else None

