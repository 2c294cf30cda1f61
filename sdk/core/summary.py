"""A summary: what the values of one field are like, in the same few numbers however many values there are.

    >>> Summary.of(np.zeros(3)).merge(Summary.of(np.ones(3))).mean
    0.5

Counts, missing values, extremes and category counts merge exactly, mean and M2 up to rounding (Chan, Golub and LeVeque 1979), quantiles
up to the sketch's error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, sqrt
from operator import attrgetter
from typing import Any

import numpy as np

from .signature import MISSING_CODE, Array
from .sketch import Sketch

MAX_CATEGORIES = 1000
"""Distinct values of an integer or text field that are counted one by one; beyond, only the most frequent."""
OTHER = "(other)"
_ALL = attrgetter("count", "missing", "finite", "rows", "mean", "m2", "low", "high", "categories", "sketch")
"""Taken of each summary at once: thousands of them are not in the processor's cache, and each visit costs."""
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Summary:
    """One field.

    Attributes:
        count: values seen, missing ones included.
        missing: NaN, MISSING_CODE of a field with categories, None.
        mean, m2: of the finite values; m2 is the sum of squared distances from the mean.
        finite: how many finite values those are.
        low, high: smallest and largest finite value; (inf, -inf) where there is none.
        categories: integers, bools and texts: value -> count.
        sketch: quantiles of the finite values of real fields.
        rows: how many rows the values come from; fewer than `count` where a row has several (a picture's pixels).
    """

    count: int = 0
    missing: int = 0
    mean: float = 0.0
    m2: float = 0.0
    finite: int = 0
    low: float = inf
    high: float = -inf
    categories: Mapping[str, int] = field(default_factory=dict[str, int])
    sketch: Sketch = field(default_factory=Sketch)
    rows: int = 0

    @classmethod
    def of(cls, values: Any, names: tuple[str, ...] | None = None, rows: int | None = None) -> Summary:
        """Summarise an array of any shape. names: of the codes of a categorical field. rows: where not the first axis counts them."""
        held = np.asarray(values)
        rows = (len(held) if held.ndim else 1) if rows is None else rows
        if held.dtype.kind in "OUS":
            return replace(_of_text(held.ravel()), rows=rows)
        if names is not None or held.dtype.kind == "b":
            return replace(_of_codes(held.ravel().astype(np.int64), names), rows=rows)
        return replace(_of_numbers(held.ravel().astype(np.float64)), rows=rows)

    @property
    def deviation(self) -> float:
        """Sample standard deviation; 0 for fewer than two values."""
        return sqrt(self.m2 / (self.finite - 1)) if self.finite > 1 else 0.0

    def merge(self, other: Summary) -> Summary:
        """The summary of both."""
        finite = self.finite + other.finite
        gap = other.mean - self.mean
        share = other.finite / finite if finite else 0.0
        return Summary(
            self.count + other.count, self.missing + other.missing,
            self.mean + gap * share, self.m2 + other.m2 + gap * gap * self.finite * share, finite,
            min(self.low, other.low), max(self.high, other.high),
            counted({key: self.categories.get(key, 0) + other.categories.get(key, 0) for key in {*self.categories, *other.categories}}),
            self.sketch.merge(other.sketch), self.rows + other.rows,
        )  # fmt: skip

    @classmethod
    def merge_all(cls, parts: Sequence[Summary]) -> Summary:
        """The summary of all of them: the same as one after the other, in less time and with a smaller error of the quantiles."""
        if len(parts) < 3:
            return parts[0].merge(parts[1]) if len(parts) == 2 else parts[0] if parts else cls()
        counts, missing, finite, rows, means, m2, lows, highs, named, sketches = zip(*map(_ALL, parts), strict=True)
        categories, values = counted(added(list(filter(None, named)))), sum(finite)
        mean, spread = pooled(np.array(finite, np.int64), np.array(means, np.float64), np.array(m2, np.float64))
        return cls(
            sum(counts), sum(missing), mean, spread, values, min(lows), max(highs), categories, Sketch.merge_all(sketches), sum(rows)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the quantiles are there for readers, the sketch for merging."""
        known: dict[str, Any] = {"count": self.count, "missing": self.missing}
        known |= {"rows": self.rows} if self.rows != self.count else {}
        if self.categories:
            return known | {"categories": dict(self.categories)}
        if not self.finite:
            return known
        quantiles = dict(zip((str(share) for share in SHARES), self.sketch.quantiles(SHARES).tolist(), strict=True))
        known |= {"finite": self.finite, "quantiles": quantiles, "sketch": self.sketch.to_dict()}
        return known | {"mean": self.mean, "m2": self.m2, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Summary:
        """Parse what `to_dict` wrote."""
        sketch = Sketch.from_dict(data["sketch"]) if "sketch" in data else Sketch()
        return cls(
            data["count"], data["missing"], data.get("mean", 0.0), data.get("m2", 0.0), data.get("finite", 0),
            data.get("low", inf), data.get("high", -inf), dict(data.get("categories", {})), sketch, data.get("rows", data["count"]),
        )  # fmt: skip


def pooled(finite: Array, means: Array, m2: Array) -> tuple[float, float]:
    """Mean and M2 of all values, from how many there are of each part, their mean and their M2."""
    values = int(finite.sum())
    mean = float((means * (finite / values)).sum()) if values else 0.0
    return mean, float((m2 + finite * (means - mean) ** 2).sum())


def _of_numbers(values: Array) -> Summary:
    finite = values[np.isfinite(values)]
    missing = int(np.isnan(values).sum())
    if not finite.size:
        return Summary(values.size, missing)
    mean = float(finite.mean())
    return Summary(values.size, missing, mean, float(((finite - mean) ** 2).sum()), finite.size,
                   float(finite.min()) + 0.0, float(finite.max()) + 0.0, {}, Sketch.of(finite))  # fmt: skip


def _of_codes(codes: Array, names: tuple[str, ...] | None) -> Summary:
    values, counts = np.unique(codes, return_counts=True)
    missing = int(counts[values == MISSING_CODE].sum()) if names is not None else 0
    pairs = [(int(value), int(count)) for value, count in zip(values, counts, strict=True) if names is None or value != MISSING_CODE]
    known: dict[str, int] = {}
    for value, count in pairs:  # several codes may be unknown
        known[_name(value, names)] = known.get(_name(value, names), 0) + count
    return Summary(codes.size, missing, categories=counted(known))


def _name(code: int, names: tuple[str, ...] | None) -> str:
    if names is None:
        return str(code)
    return names[code] if 0 <= code < len(names) else "(unknown)"


def _of_text(values: Array) -> Summary:
    present = [str(value) for value in values.tolist() if value is not None and value == value]  # NaN is not itself
    texts, counts = np.unique(np.array(present, dtype=str), return_counts=True)
    known = {str(text): int(count) for text, count in zip(texts, counts, strict=True)}
    return Summary(values.size, values.size - len(present), categories=counted(known))


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for held in counts:
        for key, count in held.items():
            total[key] = total.get(key, 0) + count
    return total


def counted(counts: Mapping[str, int]) -> dict[str, int]:
    """At most MAX_CATEGORIES counts in a fixed order; the rest is counted as "(other)"."""
    if len(counts) <= MAX_CATEGORIES:
        return dict(sorted(counts.items()))
    ranked = sorted(((key, count) for key, count in counts.items() if key != OTHER), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ranked[MAX_CATEGORIES - 1 :]) + counts.get(OTHER, 0)
    return dict(sorted({**dict(ranked[: MAX_CATEGORIES - 1]), OTHER: rest}.items()))
