"""What a fitted scikit-learn estimator answers, as torch: a score module and the link from scores to answers.

    features (batch, n) float32 -> score (batch, k) -> decision_function, predict_proba, predict

A class is an int64 index; `class_values` turns it into the estimator's own integers, and text classes leave by the
Signature's categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import Array

Link: TypeAlias = Literal["value", "exp", "sigmoid", "sigmoid2", "softmax", "ovr", "huber", "margin", "proba", "features"]


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a classifier.

    Attributes:
        names: text classes, in the order of their indices; None where classes are numbers.
        values: int64 values of the indices, where they are not the indices themselves.
        count: how many.
        boolean: classes are False and True.
    """

    count: int
    names: tuple[str, ...] | None = None
    values: Array | None = None
    boolean: bool = False

    @classmethod
    def of(cls, classes: Any) -> Classes:
        """From `classes_`. Raises UnsupportedError for several outputs, and for classes that are fractions or mixed."""
        if isinstance(classes, list):
            raise UnsupportedError("A classifier with several outputs has no lowering", fix="Pack one model per output.")
        held = np.asarray(classes)
        if held.dtype.kind == "b":
            return cls(len(held), boolean=True)
        if held.dtype.kind in "iuf" and np.all(held == held.astype(np.int64)):
            whole = held.astype(np.int64)
            return cls(len(held), values=None if np.array_equal(whole, np.arange(len(held))) else whole)
        if all(isinstance(name, str) for name in held.tolist()):
            return cls(len(held), names=tuple(str(name) for name in held.tolist()))
        raise UnsupportedError("Classes are neither integers nor text", got=held[:5].tolist(), fix="Encode them before fitting.")

    def answer(self, label: Any) -> Array:
        """The source's own labels as this program gives them: int64 (or bool), text as its index."""
        held = np.asarray(label)
        if self.names is None:
            return held.astype(np.bool_ if self.boolean else np.int64)
        place = {name: index for index, name in enumerate(self.names)}
        return np.array([place[name] for name in held.tolist()], np.int64)


class Head(nn.Module):
    """An estimator on tensors.

    Args:
        score: features (batch, n) -> (batch, k).
        link: how scores become answers; "features" for a transformer.
        classes: of a classifier.
        has: the estimator's own methods.
        closed: a score of exactly 0 belongs to the second class.
    """

    def __init__(
        self, score: nn.Module, link: Link, classes: Classes | None = None, has: tuple[str, ...] = (), closed: bool = False
    ) -> None:
        super().__init__()
        self.score, self.link, self.classes, self.has, self.closed = score, link, classes, has, closed
        values = classes.values if classes is not None else None
        self.class_values = None if values is None else nn.Buffer(torch.tensor(values))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, k) scores."""
        return self.score(x)

    def answer(self, method: str, score: Tensor) -> Tensor:
        """What the estimator's method returns where the score is this.

        predict: classes as int64 or bool (text: the index), or values (batch,) or (batch, outputs); predict_proba:
        (batch, classes); decision_function: (batch,) for two classes, else (batch, classes); transform: (batch, columns).
        """
        if method not in self.has:
            raise UnsupportedError(f"The model has no {method}", expected=", ".join(self.has))
        if method == "predict":
            return self.values(score) if self.classes is None else self.label(score)
        if method == "predict_proba":
            return self.probabilities(score)
        return score if method == "transform" else _squeezed(score)

    def values(self, score: Tensor) -> Tensor:
        """A regressor's answer from its score."""
        return _squeezed(torch.exp(score) if self.link == "exp" else score)

    def label(self, score: Tensor) -> Tensor:
        """A classifier's answer from its score."""
        if score.shape[1] == 1:
            border = 0.5 if self.link == "proba" else 0.0
            index = (score[:, 0] >= border if self.closed else score[:, 0] > border).to(torch.int64)
        else:
            index = score.argmax(1)
        if self.classes is not None and self.classes.boolean:
            return index.to(torch.bool)
        return index if self.class_values is None else self.class_values[index]

    def probabilities(self, score: Tensor) -> Tensor:
        """Class probabilities from the score."""
        if self.link == "softmax":
            return torch.softmax(score, 1)
        chance = self._chance(score)
        if chance.shape[1] == 1 and self.classes is not None and self.classes.count == 2:
            return torch.cat([1 - chance, chance], 1)
        if self.link == "proba":
            return chance
        total = chance.sum(1, keepdim=True)
        return torch.where(total == 0, torch.full_like(chance, 1 / chance.shape[1]), chance / torch.where(total == 0, 1.0, total))

    def _chance(self, score: Tensor) -> Tensor:
        if self.link == "proba":
            return score
        if self.link == "huber":
            return (torch.clamp(score, -1, 1) + 1) / 2
        return torch.sigmoid(2 * score if self.link == "sigmoid2" else score)


def methods_of(estimator: Any) -> tuple[str, ...]:
    """Which of the methods that a Head has the fitted estimator has too."""
    return tuple(name for name in ("predict", "predict_proba", "decision_function", "transform") if hasattr(estimator, name))


def _squeezed(score: Tensor) -> Tensor:
    return score[:, 0] if score.shape[1] == 1 else score
