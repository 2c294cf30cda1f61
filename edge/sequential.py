"""Is a rate below its limit? Asked after every row, for as long as it takes: the answer is never wrong more often than it says.

Two bets run side by side: one gains where the rate is above the limit, the other where it is below. The capital of a bet is a mean over
a few alternatives of the likelihood of what was seen, over that at the limit. Under any rate on the other side it is a
supermartingale, so that it ever exceeds 1 / alpha with a probability of at most alpha (Ville 1939; Wald 1945; Robbins 1970), whenever
somebody looks. It depends on two counts only. Rows that follow one another are often alike (a picture that stands still), so nothing is
said of the first 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p
from typing import NamedTuple

from ..sdk.core.decisions import NOT_ENOUGH, Verdict
from ..sdk.core.statistics import MIN_ROWS

ALPHA = 0.05
ABOVE, BELOW = (1.5, 2.0, 4.0, 10.0), (0.0, 0.25, 0.5)
"""Alternatives, as multiples of the limit's odds: so some of them lie near a limit of 0.9, too."""


class Count(NamedTuple):
    """Rows, and those of them that are off."""

    off: int = 0
    rows: int = 0

    def plus(self, off: int, rows: int) -> Count:
        """With these rows too."""
        return Count(self.off + off, self.rows + rows)

    def __str__(self) -> str:
        return f"{self.off} of {self.rows}"


def judge_rate(count: Count, limit: float, alpha: float = ALPHA) -> Verdict:
    """ "passed" where the rate is below the limit, "failed" where it is above, each wrong with probability `alpha` at most.

    Args:
        count: rows so far.
        limit: in (0, 1).
        alpha: of each of the two errors, over all looks together.

    >>> judge_rate(Count(0, 200), 0.02), judge_rate(Count(0, 100), 0.02), judge_rate(Count(9, 100), 0.02)
    ('passed', 'not enough data', 'failed')
    """
    if count.rows < MIN_ROWS:
        return NOT_ENOUGH
    if capital(count, limit, alternatives(limit, ABOVE)) >= 1 / alpha:
        return "failed"
    return "passed" if capital(count, limit, alternatives(limit, BELOW)) >= 1 / alpha else NOT_ENOUGH


def alternatives(limit: float, times: Sequence[float]) -> list[float]:
    """The rates whose odds are so many times those of the limit.

    >>> [round(rate, 3) for rate in alternatives(0.9, (0.25, 2.0))]
    [0.692, 0.947]
    """
    odds = limit / (1 - limit)
    return [odds * one / (1 + odds * one) for one in times]


def capital(count: Count, limit: float, rates: Sequence[float]) -> float:
    """What a bet on these rates against the limit has made of 1."""
    fair = _likelihood(count, limit)
    bets = [exp(min(_likelihood(count, rate) - fair, 700.0)) for rate in rates]
    return sum(bets) / len(bets)


def _likelihood(count: Count, rate: float) -> float:
    """Logarithm."""
    if rate == 0:
        return 0.0 if not count.off else float("-inf")
    return count.off * log(rate) + (count.rows - count.off) * log1p(-rate)
