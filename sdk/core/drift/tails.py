"""Tail probabilities and corrections with numpy alone.

Sources: Kolmogorov (1933) and Smirnov (1948) for the limit law of the largest distance; Massart (1990), for two samples Wei and Dudley
(2012), for the bound that holds at every number of rows; Numerical Recipes, 6.2, for the incomplete gamma function; Wilks (1938) for
likelihood ratios; Holm (1979) for the correction over fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, inf, lgamma, log, sqrt

import numpy as np

from ..signature import Array

_TERMS, _TINY, _PRECISE = 500, 1e-300, 1e-14
_STEPS = 12


def kolmogorov(value: float) -> float:
    """P(sup |B| > value) of a Brownian bridge: the p-value of sqrt(n) x distance.

    >>> round(kolmogorov(1.3581), 3)
    0.05
    """
    if value <= 0.2:  # below, 1 to twelve digits
        return 1.0
    terms = (2 * (-1) ** (term - 1) * exp(-2 * (term * value) ** 2) for term in range(1, 26))
    return min(max(sum(terms), 0.0), 1.0)


def apart(distance: float, rows: float) -> float:
    """At most how probable a distance of two samples is by chance, 2 exp(-2 n d^2). rows: `together(n, m)`."""
    return 1.0 if distance <= 0 else min(1.0, 2 * exp(-2 * rows * distance * distance))


def reach(probability: float, rows: float) -> float:
    """The distance that two samples of the same exceed with at most this probability; infinite without rows."""
    return sqrt(log(2 / probability) / (2 * rows)) if rows > 0 else inf


def together(first: float, second: float) -> float:
    """The rows that two samples are worth when compared: n m / (n + m)."""
    return first * second / (first + second) if first and second else 0.0


def chi_square(value: float, freedom: int) -> float:
    """P(X > value) of a chi-square law.

    >>> round(chi_square(3.841459, 1), 4)
    0.05
    """
    if value <= 1e-300 or freedom < 1:
        return 1.0
    if value == inf:
        return 0.0
    half, x = freedom / 2, value / 2
    return 1 - _series(half, x) if x < half + 1 else _fraction(half, x)


def proportions(first: Array, rows: float, second: Array, others: float, tolerance: float = 0.0) -> Array:
    """For each pair of counts the p-value of "the shares differ by at most `tolerance`", two-sided.

    The signed root of the likelihood ratio, against the likeliest pair of shares that differ by just `tolerance`.

    Args:
        first, second: (k,) counts out of `rows` and out of `others`.
    """
    one, two = np.asarray(first, np.float64) / max(rows, 1), np.asarray(second, np.float64) / max(others, 1)
    found = np.ones(len(one))
    beyond = np.abs(one - two) > tolerance
    if rows and others and beyond.any():
        ratio = _likelihood(np.minimum(one, two)[beyond], np.maximum(one, two)[beyond], np.where(one < two, rows, others)[beyond],
                            np.where(one < two, others, rows)[beyond], tolerance)  # fmt: skip
        found[beyond] = [erfc(sqrt(max(value, 0.0))) for value in ratio.tolist()]
    return found


def holm(probabilities: Sequence[float]) -> list[float]:
    """P-values corrected so that any false one among them is as rare as one alone.

    >>> holm([0.01, 0.5, 0.03])
    [0.03, 0.5, 0.06]
    """
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    found, highest = [1.0] * len(probabilities), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(probabilities) - rank) * probabilities[place]))
        found[place] = highest
    return found


def _likelihood(low: Array, high: Array, rows_low: Array, rows_high: Array, gap: float) -> Array:
    """Half the likelihood ratio statistic: the log-likelihood lost where the shares are held `gap` apart."""
    share = (rows_low * low + rows_high * (high - gap)) / (rows_low + rows_high)  # the likeliest without a gap, and near it with one
    left, right = low, high - gap
    for _ in range(_STEPS if gap else 0):  # Newton's, kept between where the concave log-likelihood rises and where it falls
        slope = rows_low * (low - share) / (share * (1 - share)) + rows_high * (high - share - gap) / ((share + gap) * (1 - share - gap))
        left, right = np.where(slope > 0, share, left), np.where(slope > 0, right, share)
        bend = rows_low * _bend(low, share) + rows_high * _bend(high, share + gap)
        following = share + slope / bend
        share = np.where((following > left) & (following < right), following, (left + right) / 2)
    return rows_low * _divergence(low, share) + rows_high * _divergence(high, share + gap)


def _bend(observed: Array, share: Array) -> Array:
    return observed / share**2 + (1 - observed) / (1 - share) ** 2


def _divergence(observed: Array, share: Array) -> Array:
    """Kullback-Leibler divergence of two Bernoulli laws."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hit = np.where(observed > 0, observed * np.log(observed / share), 0.0)
        miss = np.where(observed < 1, (1 - observed) * np.log((1 - observed) / (1 - share)), 0.0)
    return hit + miss


def _series(shape: float, x: float) -> float:
    term = total = 1 / shape
    for step in range(1, _TERMS * 20):
        term *= x / (shape + step)
        total += term
        if term < total * _PRECISE:
            break
    return min(1.0, total * exp(-x + shape * log(x) - lgamma(shape)))


def _fraction(shape: float, x: float) -> float:
    b, c = x + 1 - shape, 1 / _TINY
    d = 1 / b
    total = d
    for step in range(1, _TERMS):
        a, b = -step * (step - shape), b + 2
        d, c = a * d + b, b + a / c
        d, c = 1 / (d if abs(d) > _TINY else _TINY), c if abs(c) > _TINY else _TINY
        total *= d * c
        if abs(d * c - 1) < _PRECISE:
            break
    return total * exp(-x + shape * log(x) - lgamma(shape))
