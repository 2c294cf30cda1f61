"""Detectors that look at one value after the other: immutable states, `update` gives the next one.

    >>> state = Adwin()
    >>> for value in [0.0, 0.1] * 100 + [0.9, 1.0] * 40:
    ...     state = state.update(value)
    >>> state.drifts > 0, round(state.mean, 2)
    (True, 0.95)

Both watch the mean of one stream at a confidence per look; neither knows of other streams or of a month's budget (`watch.Watch` does).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, sqrt
from typing import NamedTuple

BUCKETS = 5
"""Buckets of one size that ADWIN keeps before two become one of twice the size."""


class Bucket(NamedTuple):
    """`rows` values in a row: their sum, and the sum of squared distances from their mean."""

    rows: int
    total: float
    spread: float

    def joined(self, other: Bucket) -> Bucket:
        """Both."""
        rows = self.rows + other.rows
        gap = self.total / self.rows - other.total / other.rows
        return Bucket(rows, self.total + other.total, self.spread + other.spread + gap * gap * self.rows * other.rows / rows)

    def without(self, other: Bucket) -> Bucket:
        """The part that is not `other`."""
        rows = self.rows - other.rows
        if not rows:
            return NOTHING
        total = self.total - other.total
        gap = total / rows - other.total / other.rows
        return Bucket(rows, total, max(0.0, self.spread - other.spread - gap * gap * rows * other.rows / self.rows))


NOTHING = Bucket(0, 0.0, 0.0)


@dataclass(frozen=True)
class Adwin:
    """Adaptive windowing (Bifet and Gavalda, 2007): the longest window whose older part has the mean of the newer.

    Attributes:
        delta: confidence of one look; smaller is slower and calmer.
        clock: looks after every so many values.
        least: each part of the window holds at least so many.
        grace: looks begin after so many.
        rows: buckets by size, newest first within a size, small sizes first.
        whole: all of them together.
        drift: the last update found one, and forgot what came before it. drifts: how many there have been. seen: values so far.
    """

    delta: float = 0.002
    clock: int = 32
    least: int = 5
    grace: int = 10
    rows: tuple[tuple[Bucket, ...], ...] = ()
    whole: Bucket = NOTHING
    drift: bool = False
    drifts: int = 0
    seen: int = 0

    @property
    def mean(self) -> float:
        """Of the window; NaN where it is empty."""
        return self.whole.total / self.whole.rows if self.whole.rows else float("nan")

    def update(self, value: float) -> Adwin:
        """The state after one more value."""
        one = Bucket(1, float(value), 0.0)
        grown = replace(self, rows=_pushed(self.rows, one), whole=self.whole.joined(one) if self.whole.rows else one,
                        drift=False, seen=self.seen + 1)  # fmt: skip
        if grown.seen % self.clock or grown.whole.rows <= self.grace:
            return grown
        return grown._cut()

    def _cut(self) -> Adwin:
        """Forget the oldest buckets while the rest has another mean than they."""
        held, found = self, False
        while (shorter := held._shorter()) is not None:
            held, found = shorter, True
        return replace(held, drift=True, drifts=held.drifts + 1) if found else held

    def _shorter(self) -> Adwin | None:
        """Without the oldest bucket, where some older part has another mean than the rest."""
        oldest = [bucket for row in reversed(self.rows) for bucket in reversed(row)]
        old = NOTHING
        for bucket in oldest[:-1]:
            old = old.joined(bucket) if old.rows else bucket
            rest = self.whole.rows - old.rows
            if rest < self.least:
                break
            if old.rows >= self.least and self._differ(old, rest):
                rows = (*self.rows[:-1], self.rows[-1][:-1])
                return replace(self, rows=rows if rows[-1] else rows[:-1], whole=self.whole.without(oldest[0]))
        return None

    def _differ(self, old: Bucket, rest: int) -> bool:
        """The means of both parts are further apart than chance allows: section 3.3 of the paper."""
        gap = abs(old.total / old.rows - (self.whole.total - old.total) / rest)
        certainty = log(2 * log(self.whole.rows) / self.delta)
        harmonic = 1 / (old.rows - self.least + 1) + 1 / (rest - self.least + 1)
        variance = self.whole.spread / self.whole.rows
        return gap > sqrt(2 * harmonic * variance * certainty) + 2 / 3 * certainty * harmonic


@dataclass(frozen=True)
class PageHinkley:
    """The cumulative test of Page (1954) and Hinkley (1971), in both directions.

    Attributes:
        delta: changes of the mean up to this are none, in the unit of the values.
        threshold: the sum of excesses that is drift.
        alpha: by which old sums fade.
        least: values before the first verdict.
        seen, mean: since the last drift.
        up, down: sums of excesses in both directions. lowest, highest: their extremes.
        drift, drifts: the last update found one; how many there have been.
    """

    delta: float = 0.005
    threshold: float = 50.0
    alpha: float = 0.9999
    least: int = 30
    seen: int = 0
    mean: float = 0.0
    up: float = 0.0
    lowest: float = float("inf")
    down: float = 0.0
    highest: float = float("-inf")
    drift: bool = False
    drifts: int = 0

    def update(self, value: float) -> PageHinkley:
        """The state after one more value."""
        held = self._fresh() if self.drift else self
        seen = held.seen + 1
        mean = held.mean + (value - held.mean) / seen
        up = held.alpha * held.up + (value - mean - held.delta)
        down = held.alpha * held.down + (value - mean + held.delta)
        lowest, highest = min(held.lowest, up), max(held.highest, down)
        found = seen >= held.least and (up - lowest > held.threshold or highest - down > held.threshold)
        return replace(held, seen=seen, mean=mean, up=up, down=down, lowest=lowest, highest=highest, drift=found,
                       drifts=held.drifts + found)  # fmt: skip

    def _fresh(self) -> PageHinkley:
        return PageHinkley(self.delta, self.threshold, self.alpha, self.least, drifts=self.drifts)


def _pushed(rows: tuple[tuple[Bucket, ...], ...], one: Bucket) -> tuple[tuple[Bucket, ...], ...]:
    """With one more bucket of the smallest size; where a size has too many, its two oldest become one of the next."""
    if not rows:
        return ((one,),)
    first = (one, *rows[0])
    if len(first) <= BUCKETS:
        return (first, *rows[1:])
    return (first[:-2], *_pushed(rows[1:], first[-1].joined(first[-2])))
