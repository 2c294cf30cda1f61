"""Intervals and metrics with numpy alone: no rate is shown without one of these beside it.

Sources: Wilson (1927); Clopper and Pearson (1934); DeLong, DeLong and Clarke-Pearson (1988) in the fast form of Sun and
Xu (2014) for the area under the ROC curve; Efron's percentile bootstrap for paired differences; Guo et al. (2017) for
the expected calibration error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from .signature import Array

CONFIDENCE = 0.95
MIN_ROWS = 32
"""Fewer rows than this and a metric is "not enough data"."""
_BISECTIONS = 60


@dataclass(frozen=True)
class Estimate:
    """A figure with its two-sided interval and the rows behind it; NaN where there is no figure."""

    value: float
    low: float
    high: float
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; figures that do not exist are None."""
        known = {"value": self.value, "low": self.low, "high": self.high}
        return {key: float(held) if np.isfinite(held) else None for key, held in known.items()} | {"rows": self.rows}

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def z_score(confidence: float = CONFIDENCE) -> float:
    """The two-sided normal quantile: 1.96 at 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(hits: int, rows: int, confidence: float = CONFIDENCE) -> Estimate:
    """Two-sided interval of a rate."""
    if rows == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    z, rate = z_score(confidence), hits / rows
    centre = (rate + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(rate, low if hits else 0.0, high if hits < rows else 1.0, rows)


def upper_bound(hits: int, rows: int, confidence: float = CONFIDENCE) -> float:
    """One-sided exact (Clopper-Pearson) upper bound of a rate: 0 in 299 rows bounds it at 1%.

    >>> round(upper_bound(0, 299), 4)
    0.01
    """
    if hits >= rows:
        return 1.0
    return _bisect(lambda rate: binomial_cdf(hits, rows, rate) >= 1 - confidence)


def lower_bound(hits: int, rows: int, confidence: float = CONFIDENCE) -> float:
    """One-sided exact (Clopper-Pearson) lower bound of a rate."""
    return 1.0 - upper_bound(rows - hits, rows, confidence) if hits else 0.0


def clopper_pearson(hits: int, rows: int, confidence: float = CONFIDENCE) -> Estimate:
    """Two-sided exact interval of a rate: never covers less than it says."""
    if rows == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    side = (1 + confidence) / 2
    return Estimate(hits / rows, lower_bound(hits, rows, side), upper_bound(hits, rows, side), rows)


def mean(values: Array, confidence: float = CONFIDENCE) -> Estimate:
    """Mean with its normal interval; one value or none has an unbounded one."""
    held = np.asarray(values, np.float64)
    if held.size < 2:
        return Estimate(float(held.mean()) if held.size else float("nan"), -inf, inf, held.size)
    half = z_score(confidence) * float(held.std(ddof=1)) / sqrt(held.size)
    return Estimate(float(held.mean()), float(held.mean()) - half, float(held.mean()) + half, held.size)


def paired_difference(first: Array, second: Array, seed: int = 0, draws: int = 2000, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of `first - second` per row with a bootstrap interval over rows (percentile, fixed seed)."""
    gaps = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return bootstrap(lambda index: float(gaps[index].mean()), len(gaps), seed, draws, confidence)


def bootstrap(metric: Callable[[Array], float], rows: int, seed: int = 0, draws: int = 2000, confidence: float = CONFIDENCE) -> Estimate:
    """Percentile bootstrap: `metric` gets row positions (int64) and returns the figure on them; NaN draws are left out."""
    if rows == 0:
        return Estimate(float("nan"), -inf, inf, 0)
    random = np.random.default_rng(seed)
    found = np.array([metric(random.integers(0, rows, rows)) for _ in range(draws)])
    found = found[np.isfinite(found)]
    value = metric(np.arange(rows))
    if not found.size:
        return Estimate(value, -inf, inf, rows)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high), rows)


def auc(truth: Array, scores: Array, confidence: float = CONFIDENCE) -> Estimate:
    """Area under the ROC curve with DeLong's interval; NaN where one class is absent. Ties count half."""
    positive, scores = np.asarray(truth).astype(bool), np.asarray(scores, np.float64)
    hits, misses = scores[positive], scores[~positive]
    if not hits.size or not misses.size:
        return Estimate(float("nan"), 0.0, 1.0, scores.size)
    together = midranks(np.concatenate([hits, misses]))
    above = (together[: hits.size] - midranks(hits)) / misses.size
    below = 1 - (together[hits.size :] - midranks(misses)) / hits.size
    value = float(above.mean())
    spread = sqrt(_variance(above) / hits.size + _variance(below) / misses.size)
    half = z_score(confidence) * spread
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), scores.size)


def balanced_accuracy(truth: Array, answer: Array, confidence: float = CONFIDENCE) -> Estimate:
    """Mean recall over the classes present in `truth`; interval from the (smoothed) variance of each recall."""
    truth, answer = np.asarray(truth), np.asarray(answer)
    classes = np.unique(truth)
    if not classes.size:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    counts = np.array([(truth == group).sum() for group in classes])
    hits = np.array([((truth == group) & (answer == group)).sum() for group in classes])
    smoothed = (hits + 1) / (counts + 2)
    half = z_score(confidence) * sqrt(float((smoothed * (1 - smoothed) / (counts + 2)).sum())) / classes.size
    value = float((hits / counts).mean())
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), truth.size)


def calibration_error(correct: Array, confidence: Array, bins: int = 10) -> float:
    """Expected calibration error in equal-width bins. correct: bool per row; confidence: in [0, 1] per row."""
    sure, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if not sure.size:
        return float("nan")
    bucket = np.clip((sure * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(bucket, minlength=bins)
    gaps = np.abs(np.bincount(bucket, sure, bins) - np.bincount(bucket, right, bins))
    return float(gaps[counts > 0].sum() / sure.size)


def midranks(values: Array) -> Array:
    """Ranks from 1, ties share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(first: Array, second: Array) -> float:
    """Rank correlation; NaN where one side is constant."""
    one, two = midranks(np.asarray(first)), midranks(np.asarray(second))
    one, two = one - one.mean(), two - two.mean()
    scale = sqrt(float((one * one).sum() * (two * two).sum()))
    return float((one * two).sum() / scale) if scale else float("nan")


def ndcg(relevance: Array, scores: Array, k: int = 10) -> float:
    """Normalised discounted cumulative gain at `k` of one query. relevance, scores: (items,)."""
    gains = np.asarray(relevance, np.float64)
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    discount = 1 / np.log2(np.arange(2, min(k, gains.size) + 2))
    best = float((np.sort(gains)[::-1][:k] * discount).sum())
    return float((gains[order][:k] * discount).sum()) / best if best else float("nan")


def reciprocal_rank(relevance: Array, scores: Array) -> float:
    """1 / place of the first relevant item of one query; 0 where none is relevant."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    places = np.flatnonzero(np.asarray(relevance)[order] > 0)
    return 1.0 / float(places[0] + 1) if places.size else 0.0


def _variance(values: Array) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def _bisect(below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def binomial_cdf(hits: int, rows: int, rate: float) -> float:
    """P(X <= hits) for X ~ Binomial(rows, rate), by the recurrence of log-probabilities."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return 1.0 if hits >= rows else 0.0
    counts = np.arange(1, hits + 1)
    steps = np.log((rows - counts + 1) / counts) + np.log(rate / (1 - rate))
    logs = np.concatenate([[0.0], np.cumsum(steps)]) + rows * np.log1p(-rate)
    return float(np.exp(logs).sum())
