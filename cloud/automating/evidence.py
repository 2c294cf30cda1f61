"""P-values against "the model is wrong more often than the limit": exact where every row counts alike, by betting where rows were chosen
with different probabilities.

Each row is a draw: wrong or not, and a weight w = (least probability of being chosen) / (its own), in (0, 1]. Under the null hypothesis the
weighted error w * (wrong - limit) has a mean of at least 0, whatever the weights depend on, because rows that are chosen less often
count for more (Horvitz and Thompson 1952).

- Equal weights: P(Binomial(n, limit) <= errors). Exact.
- Otherwise a bet against the null, row by row, with stakes that depend on earlier rows only; the capital is an e-value, its inverse a
  p-value (Waudby-Smith and Ramdas 2024, Markov's inequality). It is averaged over fixed permutations, so that no order of rows decides.
- `hoeffding_bentkus` (Bates et al. 2021) is what is often taken instead. It knows the range of a draw and not its variance: with check
  shares of 5% it certifies nothing where the bet does (docs/decisions/037). It is kept for that comparison.
"""

from __future__ import annotations

from math import ceil, e, exp, log, sqrt

import numpy as np

from ...sdk.core.signature import Array
from ...sdk.core.statistics import binomial_cdf, upper_bound

PERMUTATIONS, FEW = 8, 2
CAUTION = 0.75
"""Share of the largest stake that can be lost: a bet never ends the game."""


def p_value(wrong: Array, weights: Array, limit: float, delta: float, permutations: int = PERMUTATIONS) -> float:
    """Evidence that the error rate is at most `limit`; small is strong.

    Args:
        wrong: (rows,) bool.
        weights: (rows,) relative weights, above 0.
        limit: in (0, 1).
        delta: the level that will be asked for; stakes are sized for it, and the p-value is valid at every level.
    """
    if not len(wrong):
        return 1.0
    if alike(weights):
        return binomial(int(wrong.sum()), len(wrong), limit)
    return betting(wrong, weights, limit, delta, permutations)


def alike(weights: Array) -> bool:
    """Every row counts the same."""
    return bool(np.ptp(weights) <= 1e-12 * weights.max())


def binomial(errors: int, rows: int, limit: float) -> float:
    """P(Binomial(rows, limit) <= errors)."""
    return min(1.0, binomial_cdf(errors, rows, limit))


def betting(wrong: Array, weights: Array, limit: float, delta: float, permutations: int = PERMUTATIONS) -> float:
    """1 / the mean capital of bets that the weighted error is below 0; deterministic."""
    gains = _gains(wrong, weights, limit)
    dice, rows = np.random.default_rng(0), len(gains)
    place, capital = np.arange(1, rows + 1), 0.0
    for _ in range(permutations):
        drawn = gains[dice.permutation(rows)]
        before = np.concatenate([[0.0], np.cumsum(drawn * drawn)[:-1]])
        spread = (limit / 4 + before) / place  # of earlier draws only, with one imagined draw in front
        stakes = np.minimum(np.sqrt(2 * log(1 / delta) / (rows * spread)), CAUTION / (1 - limit))
        capital += exp(min(float(np.log1p(-stakes * drawn).sum()), 700.0))
    return min(1.0, permutations / capital)


def hoeffding_bentkus(wrong: Array, weights: Array, limit: float) -> float:
    """The smaller of Hoeffding's and Bentkus' bounds on the mean of draws in [0, 1]."""
    rows = len(wrong)
    mean = float((_gains(wrong, weights, limit) + limit).mean())
    hoeffding = exp(-rows * _divergence(min(mean, limit), limit))
    return min(1.0, hoeffding, e * binomial_cdf(ceil(round(rows * mean, 9)), rows, limit))


def least_rows(limit: float, delta: float) -> int:
    """Fewer rows than this prove nothing, not even without an error: 114 for 2% at 90%.

    >>> least_rows(0.02, 0.1)
    114
    """
    return ceil(log(delta) / log(1 - limit))


def upper(wrong: Array, weights: Array, delta: float) -> float:
    """The least limit that the rows prove: the upper end of a one-sided interval of the error rate at 1 - delta; 1 for no rows."""
    if not len(wrong):
        return 1.0
    if alike(weights):
        return upper_bound(int(wrong.sum()), len(wrong), 1 - delta)
    low, high = 0.0, 1.0
    for _ in range(16):
        middle = (low + high) / 2
        proven = p_value(wrong, weights, middle, delta, FEW) <= delta
        low, high = (low, middle) if proven else (middle, high)
    return high


def spread_of(wrong: Array, weights: Array) -> float:
    """Standard error of the weighted error rate, by linearisation; for lower bounds that decide nothing."""
    rate = float(np.average(wrong, weights=weights))
    return sqrt(float(((weights * (wrong - rate)) ** 2).sum())) / float(weights.sum())


def _gains(wrong: Array, weights: Array, limit: float) -> Array:
    return weights / weights.max() * (wrong.astype(np.float64) - limit)


def _divergence(one: float, other: float) -> float:
    """Of two coins (Kullback and Leibler 1951); one <= other < 1."""
    first = one * log(one / other) if one > 0 else 0.0
    return first + ((1 - one) * log((1 - one) / (1 - other)) if one < 1 else 0.0)
