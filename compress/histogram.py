"""Ranges of values seen batch by batch in bounded memory: extremes, and a histogram that widens by joining bins in pairs.

Methods for the range that int8 codes cover:

- "min-max": everything that was seen.
- "percentile": from the (1 - q) / 2 quantile to the (1 + q) / 2 quantile of what was seen.
- "entropy": the cut whose 8-bit codes lose the least information about the histogram, as Migacz (2017), "8-bit Inference with
  TensorRT", for both signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np

from ..sdk.core.errors import InputError
from ..sdk.core.plan import Range
from ..sdk.core.signature import Array
from .option_checks import number
from .thinning import stride

Method: TypeAlias = Literal["min-max", "percentile", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)
BINS = 4096
LEVELS = 256
_STEPS = 64
"""Cuts that the entropy method compares."""
COUNTED = 1 << 16
"""Numbers of one batch that are placed in bins; of more, that many spread evenly stand for all. Extremes are of every number."""


def check_percentile(percentile: object) -> None:
    """Raises InputError for one that leaves nothing, or is no number."""
    if not number(percentile) or not 50 < percentile <= 100:  # type: ignore[operator]
        raise InputError("A calibration percentile lies above 50 and at most at 100", field="percentile", got=percentile)


class Histogram:
    """Counts of one value in `BINS` equal bins over [-reach, reach]; `reach` doubles when something larger is seen.

    Attributes:
        low, high: extremes of everything finite.
        seen: finite numbers.
        odd: NaN and infinities, which are counted apart.
    """

    def __init__(self) -> None:
        self.low, self.high, self.seen, self.odd = np.inf, -np.inf, 0, 0
        self._reach, self._counts = 0.0, np.zeros(BINS, np.int64)

    def add(self, values: Array) -> None:
        """Count a batch, of any shape."""
        flat = np.asarray(values, np.float32).ravel()
        if flat.size and not (np.isfinite(flat.min()) and np.isfinite(flat.max())):
            whole, flat = flat.size, flat[np.isfinite(flat)]
            self.odd += whole - flat.size
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.low, self.high, self.seen = min(self.low, low), max(self.high, high), self.seen + flat.size
        self._widen(max(-low, high))
        step = stride(flat.size, COUNTED)
        places = (flat[::step] * np.float32(BINS / 2 / self._reach) + np.float32(BINS / 2)).astype(np.int32)  # zero begins a bin, always
        self._counts += step * np.bincount(np.clip(places, 0, BINS - 1), minlength=BINS)

    def _widen(self, largest: float) -> None:
        if not self._reach:
            self._reach = max(largest, 1e-30)
        while self._reach < largest:
            joined = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate([np.zeros(BINS // 4, np.int64), joined, np.zeros(BINS // 4, np.int64)])
            self._reach *= 2

    def to_tensors(self) -> dict[str, Array]:
        """Everything, as numbers that a file holds exactly."""
        sizes = np.array([self.low, self.high, self._reach], np.float64)
        return {"sizes": sizes, "numbers": np.array([self.seen, self.odd], np.int64), "counts": self._counts}

    @classmethod
    def from_tensors(cls, held: Mapping[str, Array]) -> Histogram:
        """What `to_tensors` made."""
        made = cls()
        made.low, made.high, made._reach = held["sizes"].tolist()
        made.seen, made.odd = held["numbers"].tolist()
        made._counts = held["counts"].copy()
        return made

    def range(self, method: Method = "min-max", percentile: float = 99.99) -> Range:
        """The range by a method; (0, 0) where nothing was seen.

        Raises InputError for a method or percentile that does not exist.
        """
        if method not in METHODS:
            raise InputError("There is no such calibration method", got=method, expected=", ".join(METHODS))
        check_percentile(percentile)
        if not self.seen:
            return 0.0, 0.0
        if method == "min-max":
            return self.low, self.high
        low, high = self._quantiles(percentile) if method == "percentile" else self._least_loss()
        low = min(max(self.low, low), self.high)  # a bin is wider than what was seen where that is next to nothing
        return low, max(min(self.high, high), low)

    @property
    def edges(self) -> Array:
        """The borders of the bins."""
        return np.linspace(-self._reach, self._reach, BINS + 1)

    def _quantiles(self, percentile: float) -> Range:
        share = np.cumsum(self._counts) / self._counts.sum()
        tail = (100 - percentile) / 200
        return float(self.edges[int(np.searchsorted(share, tail))]), float(self.edges[int(np.searchsorted(share, 1 - tail)) + 1])

    def _least_loss(self) -> Range:
        """Everything beyond a size, of either sign, is cut off: as far as the codes lose least."""
        counts, edges, middle = self._counts.astype(np.float64), self.edges, BINS // 2
        counts[middle] = min(counts[middle], counts[middle - 1 : middle + 2 : 2].max())  # zeros of a Relu say nothing about the cut
        held = np.flatnonzero(counts)
        if not held.size:
            return self.low, self.high
        first, last = int(held[0]), int(held[-1])
        furthest = max(middle - first, last - middle)
        sizes = np.linspace(furthest, min(furthest, LEVELS // 2), _STEPS).astype(int)
        cuts = [(max(first, middle - int(size)), min(last, middle + int(size))) for size in sizes]
        lower, upper = min(cuts, key=lambda cut: _divergence(counts, *cut))
        return float(edges[lower]), float(edges[upper + 1])


def _divergence(counts: Array, first: int, last: int) -> float:
    """Kullback-Leibler divergence of the counts, cut to these bins, from what `LEVELS` codes tell of them."""
    held = counts[first : last + 1].copy()
    if held.size < LEVELS:
        return np.inf
    truth = held.copy()
    truth[0] += counts[:first].sum()
    truth[-1] += counts[last + 1 :].sum()
    codes = np.arange(held.size) * LEVELS // held.size
    sums = np.bincount(codes, held, LEVELS)
    filled = np.bincount(codes, held > 0, LEVELS)
    told = np.where(held > 0, (sums / np.maximum(filled, 1))[codes], 0.0)
    truth, told = truth / truth.sum(), told / max(told.sum(), 1e-12)
    known = truth > 0
    return float((truth[known] * np.log(truth[known] / np.maximum(told[known], 1e-12))).sum())
