"""Latencies as counts in buckets whose width grows with the value: bounded memory, half a percent of error, mergeable.

The idea is that of HdrHistogram (Tene): relative precision is what latencies need.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_MS, GROWTH, BUCKETS = 1e-3, 1.01, 2100
"""From a microsecond to about twenty minutes; what is outside counts as the nearest of them."""


def _empty() -> NDArray[Any]:
    return np.zeros(BUCKETS, np.int64)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts by bucket. Values are milliseconds.

    >>> held = Histogram.of([1.0, 2.0, 3.0]) + Histogram.of([100.0])
    >>> len(held), round(held.percentile(50), 1), held.most
    (4, 2.0, 100.0)
    """

    counts: NDArray[Any] = field(default_factory=_empty)
    most: float = 0.0

    @classmethod
    def of(cls, values_ms: Sequence[float] | NDArray[Any]) -> Histogram:
        """Count values."""
        values = np.asarray(values_ms, np.float64)
        if not values.size:
            return cls()
        return cls(np.bincount(_places(values), minlength=BUCKETS), float(values.max()))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts, max(self.most, other.most))

    def __len__(self) -> int:
        return int(self.counts.sum())

    def within(self, limit: float) -> int:
        """How many values a limit does not cut off, give or take the bucket that it lies in."""
        return int(self.counts[: int(_places(np.array([limit]))[0]) + 1].sum())

    def percentile(self, percent: float) -> float:
        """The value that this share of all values does not exceed, within half a percent; NaN where there are none."""
        total = len(self)
        if not total:
            return math.nan
        rank = max(math.ceil(total * percent / 100), 1)
        place = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(LEAST_MS * GROWTH ** (place + 0.5), self.most)


def _places(values: NDArray[Any]) -> NDArray[Any]:
    """The bucket of each value."""
    places = np.floor(np.log(np.maximum(values, LEAST_MS) / LEAST_MS) / math.log(GROWTH))
    return np.minimum(places, BUCKETS - 1).astype(np.int64)
