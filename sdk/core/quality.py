"""How right answers were, as sums that merge and can be taken back when a label is corrected.

    >>> quality = Quality.of([1, 0, 1], [1, 1, 1])
    >>> quality.rows, round(quality.accuracy().value, 3), dict(quality.confusion["1"])
    (3, 0.667, {'0': 1.0, '1': 2.0})

An answer that was chosen for review with a probability counts for as many as it stands for (Horvitz and Thompson, 1952), so that a
random check share gives an unbiased estimate beside rows that were all reviewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from .signature import Array
from .statistics import CONFIDENCE, Estimate, wilson, z_score

BINS = 10
"""Bins of equal width of the confidence, for calibration."""
Counts: TypeAlias = Mapping[str, float]


@dataclass(frozen=True)
class Quality:
    """One output.

    Attributes:
        rows: rows with a label.
        weight, weight_squares: sums over them; both equal `rows` where every row stands for itself.
        correct, correct_squares: the same sums over the rows that were answered rightly; outputs that decide.
        confusion: label -> answer -> weight; outputs that decide.
        bins: of the confidence: (sum of weighted confidence, weight of right answers, weight).
        numbers: rows whose label and answer are measured, not named.
        error, error_squares: weighted sums of |answer - label| and of its square, over those.
    """

    rows: int = 0
    weight: float = 0.0
    weight_squares: float = 0.0
    correct: float = 0.0
    correct_squares: float = 0.0
    confusion: Mapping[str, Counts] = field(default_factory=dict[str, Counts])
    bins: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 0.0),) * BINS
    numbers: int = 0
    error: float = 0.0
    error_squares: float = 0.0

    @classmethod
    def of(cls, answers: Sequence[Any], labels: Sequence[Any], weights: Sequence[float] | None = None,
           confidence: Sequence[float | None] | None = None, *, named: bool = True) -> Quality:  # fmt: skip
        """Judge rows; all sequences have one entry a row. named: answers are right or wrong, not near or far."""
        shares = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
        if not named:
            return _measured(np.asarray(answers, np.float64), np.asarray(labels, np.float64), shares)
        sure = np.full(len(labels), np.nan) if confidence is None else np.array(confidence, np.float64)
        return _decided(list(answers), list(labels), shares, sure)

    def merge(self, other: Quality) -> Quality:
        """Both together."""
        return self.merge_all((self, other))

    def less(self, other: Quality) -> Quality:
        """Without `other`, which was merged in before: a label that was corrected is taken back."""
        return self.merge(other.times(-1))

    @classmethod
    def merge_all(cls, parts: Iterable[Quality]) -> Quality:
        """All together."""
        held = list(parts)
        bins = [[sum(column) for column in zip(*rows, strict=True)] for rows in zip(*(part.bins for part in held), strict=True)]
        sums: dict[str, Any] = {name: sum(getattr(part, name) for part in held) for name in _SUMS}
        confusion: dict[str, dict[str, float]] = {}
        for part in held:
            for label, answers in part.confusion.items():
                row = confusion.setdefault(label, {})
                for answer, weight in answers.items():
                    row[answer] = row.get(answer, 0.0) + weight
        return cls(**sums, confusion=_tidy(confusion), bins=tuple((a, b, c) for a, b, c in bins) or cls().bins)

    def times(self, factor: int) -> Quality:
        """Every sum by a factor."""
        sums: dict[str, Any] = {name: getattr(self, name) * factor for name in _SUMS}
        confusion = {label: {answer: weight * factor for answer, weight in row.items()} for label, row in self.confusion.items()}
        return Quality(**sums, confusion=confusion, bins=tuple((a * factor, b * factor, c * factor) for a, b, c in self.bins))

    def accuracy(self, confidence: float = CONFIDENCE) -> Estimate:
        """The share of right answers with Wilson's interval, over as many rows as the weights are worth.

        That is the number of equal rows with the same variance (linearised, Hajek, 1971), or Kish's (1965) if that is smaller: a few rows
        that stand for many do not show their variance.
        """
        if self.weight <= 0 or self.weight_squares <= 0 or self.rows <= self.numbers:
            return wilson(0, 0, confidence)
        share = min(max(self.correct / self.weight, 0.0), 1.0)
        variance = ((1 - 2 * share) * self.correct_squares + share * share * self.weight_squares) / self.weight**2
        equal = share * (1 - share) / variance if variance > 1e-12 and 0 < share < 1 else float("inf")
        worth = max(1, round(min(equal, self.weight**2 / self.weight_squares)))
        return replace(wilson(round(share * worth), worth, confidence), value=share, rows=self.rows)

    def mean_error(self, confidence: float = CONFIDENCE) -> Estimate:
        """The mean of |answer - label| of measured outputs with its normal interval."""
        if self.numbers < 1 or self.weight <= 0:
            return Estimate(float("nan"), 0.0, float("inf"), 0)
        value = self.error / self.weight
        if self.numbers < 2:
            return Estimate(value, 0.0, float("inf"), self.numbers)
        half = z_score(confidence) * sqrt(max(self.error_squares / self.weight - value * value, 0.0) / self.numbers)
        return Estimate(value, max(0.0, value - half), value + half, self.numbers)

    def calibration_error(self) -> float:
        """Expected calibration error (Guo et al., 2017); NaN without a confidence."""
        weight = sum(held for _, _, held in self.bins)
        return sum(abs(sure - right) for sure, right, _ in self.bins) / weight if weight > 0 else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        confusion = {label: dict(row) for label, row in self.confusion.items()}
        return {**vars(self), "confusion": confusion, "bins": [list(row) for row in self.bins]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Quality:
        """Parse what `to_dict` wrote."""
        values: dict[str, Any] = {**data, "bins": tuple((a, b, c) for a, b, c in data["bins"])}
        return cls(**values)


_SUMS = ("rows", "weight", "weight_squares", "correct", "correct_squares", "numbers", "error", "error_squares")


def _decided(answers: list[Any], labels: list[Any], weights: Array, confidence: Array) -> Quality:
    right = np.array([answer == label for answer, label in zip(answers, labels, strict=True)], np.float64) * weights
    confusion: dict[str, dict[str, float]] = {}
    for answer, label, weight in zip(map(str, answers), map(str, labels), weights.tolist(), strict=True):
        row = confusion.setdefault(label, {})
        row[answer] = row.get(answer, 0.0) + weight
    known = np.isfinite(confidence)
    places = np.clip((confidence[known] * BINS).astype(np.int64), 0, BINS - 1)
    sums = [np.bincount(places, held[known], BINS).tolist() for held in (np.where(known, confidence, 0.0) * weights, right, weights)]
    return Quality(
        len(labels), float(weights.sum()), float((weights**2).sum()), float(right.sum()), float((right * weights).sum()), _tidy(confusion),
        tuple((a, b, c) for a, b, c in zip(*sums, strict=True)),
    )  # fmt: skip


def _measured(answers: Array, labels: Array, weights: Array) -> Quality:
    off = np.abs(answers - labels)
    return Quality(len(labels), float(weights.sum()), float((weights**2).sum()), numbers=len(labels), error=float((off * weights).sum()),
                   error_squares=float((off * off * weights).sum()))  # fmt: skip


def _tidy(confusion: Mapping[str, Counts]) -> dict[str, dict[str, float]]:
    """In a fixed order, without what was taken back."""
    rows = {label: {answer: row[answer] for answer in sorted(row) if abs(row[answer]) > 1e-9} for label, row in sorted(confusion.items())}
    return {label: row for label, row in rows.items() if row}
