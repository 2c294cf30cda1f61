"""What teachers say about rows, as numbers that a student can be taught: chances of classes, values, vectors, scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..sdk.core.errors import InputError
from ..sdk.core.signature import Array

Loss: TypeAlias = Literal["soft", "features", "embedding", "ranking"]
KINDS: Mapping[str, tuple[str, ...]] = {
    "soft": ("score", "value"), "embedding": ("embedding",), "ranking": ("ranking", "score", "value"),
}  # fmt: skip
"""Kinds of outputs that a loss teaches, best first."""
LOSSES: Mapping[str, Loss] = {"score": "soft", "value": "soft", "embedding": "embedding", "ranking": "ranking"}
"""Kind of an output -> the loss that teaches it best; kinds that teach most come first."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the teachers say, the mean over them.

    Attributes:
        name: of the output.
        kind: of it: "score", "value", "embedding", "ranking".
        held: (rows, size) float64; scores of classes are probabilities that sum to 1.
        classes: per place among the scores what a label may be called; None where nobody decides.
        texts: names of the classes, where the teacher gives names.
    """

    name: str
    kind: str
    held: Array
    classes: tuple[Any, ...] | None = None
    texts: tuple[str, ...] | None = None


def numbers(held: Array, loss: Loss, kind: str, rows: int) -> Array:
    """(rows, size) float64 of one teacher: probabilities for scores of classes. Raises InputError."""
    if held.dtype.kind not in "fiu" or not held.ndim or len(held) != rows or not np.isfinite(held).all():
        raise InputError("A teacher's answers are no finite numbers, one row for each", field="teacher", got=f"{held.dtype} {held.shape}",
                         expected=f"({rows}, ...)")  # fmt: skip
    flat = held.reshape(rows, -1).astype(np.float64)
    return probabilities(flat) if loss == "soft" and kind == "score" else flat


def probabilities(scores: Array) -> Array:
    """(rows, classes) that sum to 1, from these or from logits; one column is the chance, or the logit, of the second of two classes."""
    inside = bool((scores >= 0).all() and (scores <= 1).all())
    if scores.shape[1] == 1:
        chance = scores if inside else 1 / (1 + np.exp(-scores))
        return np.concatenate([1 - chance, chance], axis=1)
    if inside and np.abs(scores.sum(axis=1) - 1).max() < 1e-3:
        return scores / scores.sum(axis=1, keepdims=True)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def classes(said: Array, scores: Array, categories: Sequence[str] | None) -> tuple[tuple[Any, ...], tuple[str, ...] | None]:
    """(codes, names) of the classes by place: what was decided where a score was the highest; the place itself where it never was.

    Args:
        said: (rows,) codes, or names of classes.
        scores: (rows, classes).
        categories: names by code; None: there are none.
    """
    place = scores.argmax(axis=1)
    codes: list[Any] = []
    for one in range(scores.shape[1]):
        counts: Counter[Any] = Counter(sorted(said[place == one].tolist()))
        codes.append(counts.most_common(1)[0][0] if counts else one)
    if any(isinstance(code, str) for code in codes):
        return tuple(codes), tuple(str(code) for code in codes)
    known = categories is not None and all(0 <= int(code) < len(categories) for code in codes)
    return tuple(codes), tuple(categories[int(code)] for code in codes) if categories is not None and known else None
