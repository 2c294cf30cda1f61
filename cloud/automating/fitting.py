"""The least score above which the model may decide alone: an error rate of at most the target among those rows, with a stated probability.

Thresholds of a grid that was fixed before any data are tested from the strictest down, each against "above it the model is wrong more
often than the target" (Learn then Test: Angelopoulos et al. 2021). The chance that a threshold is named whose error rate is above the
target is at most delta, however many were tested, because delta is spent in order (the fallback procedure: Wiens 2003): parts of it are
added where there are enough rows for a start, what a rejection was tested at goes on to the next threshold, and what a failure was
tested at is spent. What is needed for that:

- Rows to come are like the labelled rows once those are weighted by 1 / the probability with which each was chosen for a label.
- Where the starts are depends on scores and not on labels. That leaves the guarantee exact where a higher score is not wrong more often
  (docs/decisions/037 has the argument).
- Labels are right, or wrong at a known rate: people who err at the rate eta, whatever the model said, disagree with a model that errs at
  the rate e in e + eta - 2 e eta of the rows (two classes; with more they disagree more), so that rate is tested in the target's place.

    >>> import numpy as np
    >>> scores = np.linspace(0.5, 1, 1000)
    >>> found = fit(scores, correct=scores > 0.7, target_error=0.05)
    >>> found.verdict, 0.68 < found.value < 0.71
    ('fitted', True)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.signature import Array
from ...sdk.core.statistics import lower_bound, z_score
from .evidence import alike, binomial, least_rows, p_value, spread_of, upper

Verdict: TypeAlias = Literal["fitted", "not enough data", "out of reach"]
DELTA, POINTS = 0.1, 50
_NEAR_ONE = 1 / (1 + np.exp(-np.arange(9.2, 0.05, -0.1)))
GRID: tuple[float, ...] = tuple(np.round([*_NEAR_ONE, *np.arange(25, -1, -1) / 50], 6).tolist())
"""Scores that are tested, fixed before any data: dense towards 1, where those of good models are."""


@dataclass(frozen=True)
class Point:
    """What one threshold would mean.

    Attributes:
        threshold: rows with at least this score are automated.
        share: of all rows, those that are.
        error: of those, the share that is wrong (of the truth, where people's own error is known).
        upper: upper end of its one-sided interval at 1 - delta, for this point alone.
        rows: labelled rows above it.
        p: the p-value against "wrong more often than the target".
    """

    threshold: float
    share: float
    error: float
    upper: float
    rows: int
    p: float


@dataclass(frozen=True)
class Threshold:
    """What was found.

    Attributes:
        value: the threshold; None: nothing may be automated.
        verdict: "fitted"; "not enough data": more labels may yet show it; "out of reach": wrong too often at every threshold.
        target_error, delta, people_error: what was asked.
        rows: labelled rows there were.
        at: the point of the threshold; None without one.
        curve: thresholds at least `1 / POINTS` of the labelled rows apart, from the strictest.
        why: a sentence.
    """

    value: float | None
    verdict: Verdict
    target_error: float
    delta: float
    people_error: float
    rows: int
    at: Point | None = None
    curve: tuple[Point, ...] = field(default=(), repr=False)
    why: str = ""

    def __bool__(self) -> bool:
        return self.value is not None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "at": None if self.at is None else vars(self.at), "curve": [vars(point) for point in self.curve]}


@dataclass(frozen=True)
class _Rows:
    """Labelled rows by falling score, and what is asked of them. `worth`: how many alike rows the first 1, 2, ... are worth (Kish 1965)."""

    scores: Array
    wrong: Array
    weights: Array
    worth: Array
    traffic: Array
    limit: float
    delta: float
    people_error: float

    @classmethod
    def of(cls, scores: Array, wrong: Array, weights: Array, **asked: Any) -> _Rows:
        order = np.argsort(-scores, kind="stable")
        sums, squares = np.cumsum(weights[order]), np.cumsum(weights[order] ** 2)
        return cls(scores[order], wrong[order], weights[order], np.round(np.maximum.accumulate(sums**2 / squares), 6), **asked)

    def steps(self, grid: tuple[float, ...], least: float = 1.0) -> Iterator[tuple[float, int]]:
        """(threshold, rows above it), where those are at least so many more than at the step before; of thresholds alike the lowest."""
        counts, before = np.searchsorted(-self.scores, -np.asarray(grid), side="right").tolist(), 0
        for threshold, (here, below) in zip(grid, pairwise([*counts, -1]), strict=True):
            if here != below and here - before >= least:
                yield threshold, here
                before = here

    def p(self, count: int) -> float:
        return p_value(self.wrong[:count], self.weights[:count], self.limit, self.delta)

    def at(self, threshold: float, count: int) -> Point:
        wrong, weights = self.wrong[:count], self.weights[:count]
        share = float((self.traffic >= threshold).mean()) if len(self.traffic) else float(weights.sum() / self.weights.sum())
        rate, high = float(np.average(wrong, weights=weights)), upper(wrong, weights, self.delta)
        return Point(threshold, share, self._truth(rate), self._truth(high), count, self.p(count))

    def surely_over(self, count: int) -> bool:
        """Wrong more often than the limit, as surely as the opposite would have to be shown."""
        wrong, weights = self.wrong[:count], self.weights[:count]
        if alike(weights):
            return lower_bound(int(wrong.sum()), len(wrong), 1 - self.delta) > self.limit
        return float(np.average(wrong, weights=weights)) - z_score(1 - 2 * self.delta) * spread_of(wrong, weights) > self.limit

    def _truth(self, disagreement: float) -> float:
        return max(0.0, (disagreement - self.people_error) / (1 - 2 * self.people_error)) if self.people_error else disagreement


def fit(scores: Array, correct: Array, weights: Array | None = None, *, target_error: float, delta: float = DELTA,
        people_error: float = 0.0, traffic: Array | None = None, grid: tuple[float, ...] = GRID,
        curve: bool = True) -> Threshold:  # fmt: skip
    """Find the threshold.

    Args:
        scores: (rows,) of labelled rows, in [0, 1]; NaN counts as 0.
        correct: (rows,) bool: the model's answer was the label.
        weights: (rows,) 1 / the probability with which each was chosen for a label; None: all alike.
        target_error: error rate allowed among automated rows, in (0, 1).
        delta: chance with which the bound may fail, in (0, 0.5].
        people_error: rate at which labels themselves are wrong.
        traffic: scores of all rows, labelled or not, for the share that is automated; None: from the weights.
        grid: thresholds in falling order, chosen without looking at the labels.
        curve: work out what every other threshold would mean, too.

    Raises InputError for numbers that cannot be.
    """
    _check(target_error, delta, people_error, grid)
    held, right = np.nan_to_num(np.asarray(scores, np.float64), nan=0.0), np.asarray(correct, bool)
    given = np.ones(len(held)) if weights is None else np.asarray(weights, np.float64)
    _check_rows(held, right, given)
    limit = target_error + people_error - 2 * target_error * people_error
    rows = _Rows.of(held, ~right, given, traffic=_traffic(traffic), limit=limit, delta=delta, people_error=people_error)
    points = [rows.at(*step) for step in rows.steps(grid, len(held) / POINTS)] if curve and len(held) else []
    return _judged(rows, target_error, _tested(rows, grid), points)


class _Test(NamedTuple):
    """A threshold with the rows above it, its p-value, and the part of delta that it was tested at."""

    threshold: float
    above: int
    p: float
    level: float


def _tested(rows: _Rows, grid: tuple[float, ...]) -> list[_Test]:
    """The fallback procedure, from the strictest threshold down."""
    level, reached, found = 0.0, 0.0, list[_Test]()
    parts = starts(rows.limit, rows.delta, len(rows.scores))
    for threshold, above in rows.steps(grid):
        worth = float(rows.worth[above - 1])
        level += rows.delta * sum(part for rank, part in parts if reached < rank <= worth)
        reached = worth
        if level > 0:
            found.append(_Test(threshold, above, rows.p(above), level))
            level = level if found[-1].p <= level else 0.0
    return found


def starts(limit: float, delta: float, rows: int) -> list[tuple[int, float]]:
    """(rows above a threshold, part of delta that is added where there are as many): half of it at the first start, the rest at twice,
    four times ... as many rows."""
    first = first_rows(limit, delta, rows)
    later = [first << double for double in range(1, 60) if first << double <= rows]
    return [(first, 0.5 if later else 1.0), *((rank, 0.5 / len(later)) for rank in later)]


def first_rows(limit: float, delta: float, rows: int) -> int:
    """Rows of the first start: as many as let a model pass that is wrong half as often as it may be, or half of what there is; never
    fewer than could prove anything."""
    hits = next(hits for hits in count(1) if binomial(hits, int(2 * hits / limit), limit) <= delta)
    return max(least_rows(limit, delta), min(int(2 * hits / limit), rows // 2))


def _judged(rows: _Rows, target_error: float, tested: list[_Test], points: list[Point]) -> Threshold:
    passed = [test for test in tested if test.p <= test.level]
    asked = (target_error, rows.delta, rows.people_error, len(rows.scores))
    if passed:
        at = rows.at(passed[-1].threshold, passed[-1].above)
        why = f"above {at.threshold:g} at most {target_error:g} are wrong, with probability {1 - rows.delta:g}; {at.rows} labelled rows"
        return Threshold(at.threshold, "fitted", *asked, at, _with(points, at), why)
    if tested and rows.surely_over(tested[0].above):
        first = rows.at(tested[0].threshold, tested[0].above)
        why = f"{first.error:.1%} are wrong where the model is surest, above {first.threshold:g}"
        return Threshold(None, "out of reach", *asked, None, tuple(points), why)
    need = first_rows(rows.limit, rows.delta, 1 << 40)
    why = f"{len(rows.scores)} labelled rows; it takes about {need} of those where the model is surest"
    return Threshold(None, "not enough data", *asked, None, tuple(points), why)


def _with(points: list[Point], at: Point) -> tuple[Point, ...]:
    """The curve with the point that was chosen on it; no curve without one."""
    others = [point for point in points if point.threshold != at.threshold]
    return tuple(sorted([*others, at], key=lambda point: -point.threshold)) if points else ()


def _traffic(scores: Array | None) -> Array:
    return np.zeros(0) if scores is None else np.nan_to_num(np.asarray(scores, np.float64), nan=0.0)


def _check(target_error: float, delta: float, people_error: float, grid: tuple[float, ...]) -> None:
    if not 0 < target_error < 0.5 or not 0 < delta <= 0.5 or not 0 <= people_error < 0.5:
        raise InputError("A target, a delta or an error of people cannot be", field="target_error",
                         got=(target_error, delta, people_error),
                         expected="0 < target_error < 0.5, 0 < delta <= 0.5, 0 <= people_error < 0.5")  # fmt: skip
    if not grid or any(one <= other for one, other in pairwise(grid)):
        raise InputError("The grid of thresholds falls", field="grid", got=grid[:4])


def _check_rows(scores: Array, correct: Array, weights: Array) -> None:
    if not len(scores) == len(correct) == len(weights):
        raise InputError("Scores, labels and weights are of different rows", field="scores", got=(len(scores), len(correct), len(weights)))
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        raise InputError("A score is in [0, 1]", field="scores", got=(float(scores.min()), float(scores.max())))
    if len(weights) and not (np.isfinite(weights).all() and weights.min() > 0):
        raise InputError("A weight is a number above 0", field="weights", got=float(np.min(weights)))
