"""From the sums of an ensemble to its answers: how a program turns scores into probabilities or values, and what an error costs.

A package does not name its link; it is found by its answers. The loss is the log loss where the link has one, and the squared error
elsewhere, with labels and with the answers of another model as goals alike (Hinton et al., "Distilling the Knowledge in a Neural
Network", 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..sdk.core.signature import Array

_TINY = 1e-7
_CLOSE = 1e-4


@dataclass(frozen=True)
class Link:
    """One way from scores to answers, all arrays (rows, outputs) float64.

    Attributes:
        name: of it.
        mean: scores -> expected answers.
        slope: expected answers -> the second derivative of the loss by the score.
        pull: (expected answers, goals) -> the first.
        losses: (expected answers, goals) -> (rows,) what each row costs.
    """

    name: str
    mean: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    pull: Callable[[Array, Array], Array]
    losses: Callable[[Array, Array], Array]

    def loss(self, answer: Array, goal: Array) -> float:
        """The mean over rows."""
        return float(self.losses(answer, goal).mean())


def sigmoid(score: Array) -> Array:
    """1 / (1 + exp(-score)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * score))


def softmax(score: Array) -> Array:
    """Over the last axis."""
    raised = np.exp(score - score.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def _squared(answer: Array, goal: Array) -> Array:
    return ((answer - goal) ** 2).sum(axis=1)


def _binary(answer: Array, goal: Array) -> Array:
    held = np.clip(answer, _TINY, 1 - _TINY)
    return -(goal * np.log(held) + (1 - goal) * np.log(1 - held)).sum(axis=1)


def _classes(answer: Array, goal: Array) -> Array:
    return -(goal * np.log(np.maximum(answer, _TINY))).sum(axis=1)


def _counts(answer: Array, goal: Array) -> Array:
    return (answer - goal * np.log(np.maximum(answer, _TINY))).sum(axis=1)


def _variance(answer: Array) -> Array:
    return np.maximum(answer * (1 - answer), 1e-3)


LINKS: Mapping[str, Link] = {
    link.name: link
    for link in (
        Link("value", lambda score: score, np.ones_like, lambda answer, goal: answer - goal, _squared),
        Link("sigmoid", sigmoid, _variance, lambda answer, goal: answer - goal, _binary),
        Link("sigmoid2", lambda score: sigmoid(2 * score), lambda answer: 4 * _variance(answer),
             lambda answer, goal: 2 * (answer - goal), _binary),
        Link("softmax", softmax, _variance, lambda answer, goal: answer - goal, _classes),
        Link("exp", np.exp, lambda answer: np.maximum(answer, 1e-3), lambda answer, goal: answer - goal, _counts),
    )
}  # fmt: skip
"""Name -> link. Forests average probabilities, so that theirs is "value"."""


def link_of(score: Array, answers: Mapping[str, Array]) -> Link | None:
    """The link by which `score` (rows, outputs) became one of the answers; None where none did."""
    for held in answers.values():
        if held.dtype.kind != "f" or not held.size or held.size % len(score):
            continue
        flat = held.reshape(len(score), -1).astype(np.float64)
        if found := next((link for link in LINKS.values() if _same(link.mean(score.astype(np.float64)), flat)), None):
            return found
    return None


def _same(made: Array, found: Array) -> bool:
    if made.shape[1] == 1 and found.shape[1] == 2:
        made = np.concatenate([1 - made, made], axis=1)
    scale = max(1.0, float(np.abs(found).max()))
    return made.shape == found.shape and bool(np.all(np.abs(made - found) <= _CLOSE * scale))
