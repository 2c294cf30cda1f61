"""What a metric lost between two models on the same labelled rows: before, after, and the paired interval of the drop.

A drop is positive where the later model is worse, for every metric. A row that only the later model answers with NaN is a wrong
answer, given with full confidence; in a mean error it is infinitely wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

import numpy as np

from ..sdk.core import statistics as stats
from ..sdk.core.signature import Array
from ..sdk.core.statistics import MIN_ROWS, Estimate
from .quality import Task, groups

_DRAWS = 400


@dataclass(frozen=True)
class Change:
    """One metric: the ancestor's figure, the subject's, and the paired difference with its 95% interval; positive is worse."""

    before: Estimate
    after: Estimate
    drop: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"before": self.before.to_dict(), "after": self.after.to_dict(), "drop": self.drop.to_dict()}


Changes: TypeAlias = Mapping[str, Change]


@dataclass(frozen=True)
class Labelled:
    """Two tasks on the same rows.

    Attributes:
        before, after: the ancestor's and the subject's.
        broken: (rows,) bool: only the subject answers with NaN.
    """

    before: Task
    after: Task
    broken: Array

    @property
    def primary(self) -> str:
        """The metric that gates and slices go by."""
        return self.before.primary

    def take(self, rows: Array) -> Labelled:
        """Some of the rows."""
        return Labelled(self.before.take(rows), self.after.take(rows), self.broken[rows])

    def changes(self, *, calibration: bool = True) -> dict[str, Change]:
        """Every metric that both tasks allow, the primary one first; `calibration` also the expected calibration error."""
        if self.before.kind == "regression":
            return {"mae": _error(np.abs(self.before.answer - self.before.truth), np.abs(self.after.answer - self.after.truth))}
        right = _right(self.before), _right(self.after) & ~self.broken
        before, after = (stats.wilson(int(held.sum()), len(held)) for held in right)
        found = {"accuracy": Change(before, after, stats.paired_difference(*right))}
        if self.before.positive is not None and self.after.positive is not None:
            found["auc"] = self._auc(self.before.positive, self.after.positive)
        if calibration and self.before.sure is not None and self.after.sure is not None:
            one, two = (np.where(np.isnan(sure), 1.0, sure) for sure in (self.before.sure, self.after.sure))
            found["ece"] = _calibration(right, (one, two))
        return found

    def _auc(self, before: Array, after: Array) -> Change:
        truth = self.before.truth == self.before.truth.max()
        one, two = (np.where(np.isnan(held), np.where(truth, -inf, inf), held) for held in (before, after))
        first, second = _area(truth, one), _area(truth, two)
        drop = stats.bootstrap(lambda rows: first(rows) - second(rows), len(truth), draws=_DRAWS)
        return Change(stats.auc(truth, one), stats.auc(truth, two), drop)


def sliced(labelled: Labelled, slices: Mapping[str, Array]) -> dict[str, Changes | None]:
    """ "name=group" -> changes, worst drop of the primary metric first; None where a slice has too few rows for a figure."""
    found: dict[str, Changes | None] = {}
    for key, rows in groups(slices).items():
        found[key] = labelled.take(rows).changes(calibration=False) if len(rows) >= MIN_ROWS else None

    def badness(key: str) -> tuple[bool, float, str]:
        held = found[key]
        return held is None, -held[labelled.primary].drop.value if held else 0.0, key

    return {key: found[key] for key in sorted(found, key=badness)}


def _right(task: Task) -> Array:
    right = np.asarray(task.answer == task.truth, bool)
    return right if task.sure is None else right & ~np.isnan(task.sure)


def _error(before: Array, after: Array) -> Change:
    """Mean absolute error: NaN is infinitely far; what the ancestor could not answer either is no loss."""
    one, two = np.where(np.isnan(before), inf, before), np.where(np.isnan(after), inf, after)
    lost = np.isinf(two) & ~np.isinf(one)
    both = np.isfinite(one) & np.isfinite(two)
    gaps = np.subtract(two, one, out=np.zeros(len(one)), where=both)
    drop = Estimate(inf, inf, inf, len(one)) if lost.any() else stats.paired_difference(gaps, np.zeros(len(gaps)))
    return Change(_mean(one), _mean(two), drop)


def _mean(values: Array) -> Estimate:
    return stats.mean(values) if np.isfinite(values).all() else Estimate(inf, inf, inf, len(values))


def _area(truth: Array, scores: Array) -> Callable[[Array], float]:
    """Rows -> area under the ROC curve on them; the scores are ranked once for all draws."""
    places = np.unique(scores, return_inverse=True)[1]
    size = int(places.max()) + 1

    def area(rows: Array) -> float:
        drawn, hit = places[rows], truth[rows]
        hits, misses = np.bincount(drawn[hit], minlength=size), np.bincount(drawn[~hit], minlength=size)
        pairs = int(hits.sum()) * int(misses.sum())
        return float((hits * (np.cumsum(misses) - misses / 2)).sum()) / pairs if pairs else float("nan")

    return area


def _calibration(right: Sequence[Array], sure: Sequence[Array]) -> Change:
    """Expected calibration error: no mean over rows, so both are taken on the same draws."""

    def error(side: int, rows: Array) -> float:
        return stats.calibration_error(right[side][rows], sure[side][rows])

    before, after = (stats.bootstrap(lambda rows, side=side: error(side, rows), len(right[0]), draws=_DRAWS) for side in (0, 1))
    return Change(before, after, stats.bootstrap(lambda rows: error(1, rows) - error(0, rows), len(right[0]), draws=_DRAWS))
