"""The last resort: steps without a lowering of Portside's own go through skl2onnx, for ONNX Runtime alone.

Never for trees, whose paths skl2onnx does not keep. A converted step is an opaque node while tracing and is inlined
afterwards; the stage then names the targets that can run it, and the program carries a note.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from ...sdk.core.errors import UnsupportedError
from ..onnx_inline import inline
from .opaque import Opaques, Output
from .sklearn_columns import Column, Parts
from .sklearn_heads import Classes, Head, methods_of
from .sklearn_trees import is_trees

TARGETS = ("onnx-cpu",)
WAY_OUT = "Write the step with torch in featurize or predict, or declare it as a host stage: host=[...]."


@dataclass(frozen=True, eq=False)
class Converted:
    """A step as skl2onnx wrote it: (batch, columns) float32 -> its outputs."""

    name: str
    graph: ModelProto


class _Call(nn.Module):
    """A converted step as one opaque node; several outputs stand side by side as float32."""

    def __init__(self, converted: Converted, widths: Sequence[int | None], opaques: Opaques, first: torch.dtype) -> None:
        super().__init__()
        self.converted, self.widths, self.opaques, self.first = converted, tuple(widths), opaques, first

    def forward(self, x: Tensor) -> Tensor:
        dtypes = [self.first] + [torch.float32] * (len(self.widths) - 1)
        rows = x.shape[0]
        shapes = [Output(dtype, (rows,) if width is None else (rows, width)) for dtype, width in zip(dtypes, self.widths, strict=True)]
        made = self.opaques.call("Onnx", self.converted, [x], shapes)
        return torch.cat([(held[:, None] if held.ndim == 1 else held).to(torch.float32) for held in made], 1)


class _LabelFirst(Head):
    """Answers of a converted classifier: the index of its label, then its probabilities or scores."""

    def answer(self, method: str, score: Tensor) -> Tensor:
        if method not in self.has:
            raise UnsupportedError(f"The model has no {method}", expected=", ".join(self.has))
        if method == "predict":
            index = score[:, 0].to(torch.int64)
            if self.classes is not None and self.classes.boolean:
                return index.to(torch.bool)
            return index if self.class_values is None else self.class_values[index]
        rest = score[:, 1:]
        return rest[:, 1] if method == "decision_function" and rest.shape[1] == 2 else rest


class Fallback:
    """Converts the steps of one model.

    Attributes:
        used: the converted steps, by name.
    """

    def __init__(self, opaques: Opaques) -> None:
        self.opaques = opaques
        self.used: list[Converted] = []

    def transform(self, estimator: Any, columns: Sequence[Column], parts: Parts) -> list[Column]:
        """A transformer as a part. Raises UnsupportedError where skl2onnx cannot either."""
        width = np.asarray(_dense(_quietly(estimator.transform, np.zeros((1, len(columns)))))).shape[1]
        call = _Call(self.convert(estimator, len(columns), {}), [width], self.opaques, torch.float32)
        return parts.add(columns, call, width)

    def head(self, estimator: Any, columns: int) -> Head:
        """A final estimator. Raises UnsupportedError where skl2onnx cannot either, and for anything with trees in it."""
        has = methods_of(estimator)
        if not hasattr(estimator, "classes_"):
            width = np.asarray(_quietly(estimator.predict, np.zeros((1, columns)))).reshape(1, -1).shape[1]
            call = _Call(self.convert(estimator, columns, {}), [width], self.opaques, torch.float32)
            return Head(call, "value", has=tuple(name for name in has if name == "predict"))
        classes = Classes.of(estimator.classes_)
        scores = "predict_proba" if "predict_proba" in has else "decision_function"
        options: dict[str, Any] = {"zipmap": False} | ({"raw_scores": True} if scores == "decision_function" else {})
        call = _Call(self.convert(_indexed(estimator, classes), columns, options), [None, classes.count], self.opaques, torch.int64)
        return _LabelFirst(call, "margin", classes, tuple(name for name in has if name in ("predict", scores)))

    def convert(self, estimator: Any, columns: int, options: dict[str, Any]) -> Converted:
        """The step as ONNX in the opset of programs. Raises UnsupportedError."""
        from skl2onnx import convert_sklearn  # a second of imports that other models never need
        from skl2onnx.common.data_types import FloatTensorType

        name = type(estimator).__name__
        if holds_trees(estimator):
            raise UnsupportedError(f"{name} is made of trees in a way that has no lowering", fix=WAY_OUT)
        logging.getLogger("skl2onnx").setLevel(logging.ERROR)
        try:
            graph = _quietly(
                convert_sklearn, estimator, initial_types=[("x", FloatTensorType([None, columns]))],
                target_opset={"": 18, "ai.onnx.ml": 3}, options={id(estimator): options} if options else None,
            )  # fmt: skip
        except Exception as error:  # skl2onnx raises many kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise UnsupportedError(f"{name} has no lowering, and skl2onnx cannot convert it", got=reason, fix=WAY_OUT) from error
        self.used.append(Converted(name, graph))
        return self.used[-1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the card says."""
        return tuple(f"{step.name} was converted by skl2onnx: the package runs on {', '.join(TARGETS)} only" for step in self.used)

    @property
    def only(self) -> tuple[str, ...]:
        """The targets that can run the graphs; empty where all can."""
        return TARGETS if self.used else ()


def _indexed(estimator: Any, classes: Classes) -> Any:
    """A shallow copy whose classes are 0, 1, 2, ..., because not every converter can write text or booleans."""
    relabelled = copy(estimator)
    try:
        relabelled.classes_ = np.arange(classes.count)
    except AttributeError as error:
        raise UnsupportedError(f"{type(estimator).__name__} has no lowering", fix=WAY_OUT) from error
    return relabelled


def inlined(model: ModelProto, held: Mapping[str, object]) -> ModelProto:
    """The traced graph with converted steps in the place of their nodes."""
    graphs = {handle: thing.graph for handle, thing in held.items() if isinstance(thing, Converted)}
    return inline(model, graphs) if graphs else model


def holds_trees(value: Any) -> bool:
    """Whether a tree ensemble is anywhere inside a fitted estimator."""
    if isinstance(value, BaseEstimator):
        inside = type(value).__module__.startswith("sklearn.tree")
        return inside or is_trees(value) or any(holds_trees(held) for held in vars(value).values())
    if isinstance(value, np.ndarray):
        return value.dtype == object and any(holds_trees(held) for held in value.ravel().tolist())
    if isinstance(value, list | tuple):
        return any(holds_trees(held) for held in value)
    return False


def _quietly(function: Any, *args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def _dense(result: Any) -> Any:
    return result.toarray() if hasattr(result, "toarray") else result
