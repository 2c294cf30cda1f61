"""Float32 thresholds that send every row where the source sends it, with preprocessing folded in.

A source tree compares in its own dtype, after its own preprocessing; the program compares the raw input, narrowed to
float32 at the door. For each node the *last value that the source sends left* is found in the input's native dtype: by
rounding where nothing stands in between, else by bisection over ordered floats, asking the fitted preprocessing itself.

- Native float32: that value is the threshold.
- Native float64: its nearest float32 `t` is the threshold, unless the decimal number that `t` stands for (its shortest
  form, 0.2 for 0.200000003) goes right in the source; then the float32 before it. Values that people and files hold are
  such decimals, so ties fall as in the source.

Encoded categories are replaced by the rank of what they became, which is exact by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...sdk.core.signature import Array
from ..trees import LEAF, Trees
from .sklearn_columns import RAW, Column, Lookup, Number
from .sklearn_encoders import numbers
from .sklearn_trees import Ensemble

LARGEST = float(np.finfo(np.float32).max)
Probe: TypeAlias = Callable[[Array], Array]
"""(rows, raw columns) float64, NaN allowed -> (rows, columns): the source's preprocessing on chosen raw numbers."""


@dataclass(frozen=True)
class Source:
    """Where raw numbers come from.

    Attributes:
        probe: the source's preprocessing.
        typical: (raw columns,) float64, a row that the source accepts.
        narrow: the raw columns whose native dtype is float32 (or less).
    """

    probe: Probe
    typical: Array
    narrow: frozenset[int]


def fold(ensemble: Ensemble, columns: Sequence[Column], source: Source) -> tuple[Trees, list[Column]]:
    """The ensemble on raw columns where that can be, and the columns that it reads.

    Args:
        ensemble: the source's trees.
        columns: what the trees' columns are, by the source's numbering.
    """
    arrays = dict(ensemble.arrays)
    numeric = (arrays["feature"] != LEAF) & (arrays["bitset"] < 0)
    held: list[Column] = list(columns)
    arrays["threshold"] = _narrowed(arrays["threshold"], numeric, arrays["feature"], columns, ensemble.casts, source.narrow)
    for at in np.unique(arrays["feature"][numeric]).tolist():
        if isinstance(column := held[at], Lookup):
            mine = numeric & (arrays["feature"] == at)
            held[at], arrays["threshold"][mine] = _ranked(column, ensemble.arrays["threshold"][mine], ensemble.casts)
    for turn in _turns(arrays["feature"][numeric], columns):
        _Bisection(ensemble, turn, columns, source).into(arrays, numeric)
        for at in turn:
            held[at] = Number((RAW, columns[at].source[1]))
    return _compact(ensemble, arrays, held, len(source.typical))


def _narrowed(threshold: Array, numeric: Array, feature: Array, columns: Sequence[Column], casts: bool, narrow: frozenset[int]) -> Array:
    """Thresholds of numbers that the trees read as they come."""
    exact = np.array([casts or (column.source[0] == RAW and column.source[1] in narrow) for column in columns])
    return np.where(exact[np.where(numeric, feature, 0)], floor32(threshold), decimal32(threshold)).astype(np.float32)


def floor32(values: Array) -> Array:
    """The largest float32 that is not above each value."""
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float32)
        return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest).astype(np.float32)


def decimal32(values: Array) -> Array:
    """The nearest float32 whose shortest decimal form is not above the value."""
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float32)
        before = np.nextafter(nearest, np.float32(-np.inf))
    distinct, place = np.unique(nearest, return_inverse=True)
    decimal = np.array([float(str(value)) for value in distinct])[place.reshape(nearest.shape)]
    return np.where(decimal > values, before, nearest).astype(np.float32)


def _ranked(column: Lookup, threshold: Array, casts: bool) -> tuple[Lookup, Array]:
    """A category's numbers as their ranks, and thresholds between ranks."""
    values = numbers(column).astype(np.float32) if casts else numbers(column)
    levels = np.unique(values[~np.isnan(values)])
    ranks = np.where(np.isnan(values), np.nan, np.searchsorted(levels, values).astype(np.float64))
    return Lookup(column.source, ranks, column.domain), np.searchsorted(levels, threshold, side="right") - 0.5


def _turns(feature: Array, columns: Sequence[Column]) -> list[list[int]]:
    """Features that are found by asking, such that no turn asks twice about one raw column."""
    turns: list[dict[int, int]] = []
    for at in np.unique(feature).tolist():
        column = columns[at]
        if not isinstance(column, Number) or column.source[0] != RAW or (column.plain and np.isnan(column.fill)):
            continue
        raw = column.source[1]
        turn = next((turn for turn in turns if raw not in turn), None)
        if turn is None:
            turns.append(turn := {})
        turn[raw] = at
    return [list(turn.values()) for turn in turns]


class _Bisection:
    """The thresholds of several features at once, each on a raw column of its own."""

    def __init__(self, ensemble: Ensemble, features: Sequence[int], columns: Sequence[Column], source: Source) -> None:
        self.ensemble, self.features, self.source = ensemble, list(features), source
        self.raw = [columns[at].source[1] for at in features]
        self.narrow = np.array([raw in source.narrow for raw in self.raw])

    def into(self, arrays: dict[str, Array], numeric: Array) -> None:
        """Write thresholds and missing sides of the features' nodes."""
        nodes = [np.flatnonzero(numeric & (self.ensemble.arrays["feature"] == at)) for at in self.features]
        distinct = [np.unique(self.ensemble.arrays["threshold"][mine], return_inverse=True) for mine in nodes]
        height = max(len(levels) for levels, _ in distinct)
        asked = np.stack([np.resize(levels, height) for levels, _ in distinct], axis=1)
        found = self._last_left(asked)
        missing = self._missing()
        for column, (mine, (levels, place)) in enumerate(zip(nodes, distinct, strict=True)):
            arrays["threshold"][mine] = found[: len(levels), column][place]
            if not np.isnan(missing[column]):
                arrays["missing_left"][mine] = (missing[column] <= self.ensemble.arrays["threshold"][mine]).astype(np.uint8)

    def _last_left(self, threshold: Array) -> Array:
        """(rows, features) float32: for each threshold the last raw number that goes left."""
        low = np.where(self.narrow, _order(np.float32(-LARGEST)), _order(np.float64(-LARGEST))) + np.zeros_like(threshold, np.int64)
        high = np.where(self.narrow, _order(np.float32(LARGEST)), _order(np.float64(LARGEST))) + np.zeros_like(low)
        ends = self._left(low, threshold), self._left(high, threshold)
        while np.any(high > low + 1):
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            left = self._left(middle, threshold)
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        last = self._numbers(low)
        found = np.where(self.narrow, last, decimal32(last))
        return np.where(~ends[0], -np.inf, np.where(ends[1], np.inf, found)).astype(np.float32)

    def _left(self, order: Array, threshold: Array) -> Array:
        return self._seen(self._numbers(order)) <= threshold

    def _seen(self, values: Array) -> Array:
        """(rows, features): what the trees see where the raw columns hold `values`."""
        raw = np.tile(self.source.typical, (len(values), 1))
        raw[:, self.raw] = values
        with np.errstate(all="ignore"):
            seen = self.source.probe(raw)[:, self.features]
            return seen.astype(np.float32).astype(np.float64) if self.ensemble.casts else seen.astype(np.float64)

    def _missing(self) -> Array:
        """(features,) what a missing raw value becomes; NaN where it stays missing or is refused."""
        try:
            return self._seen(np.full((1, len(self.features)), np.nan))[0]
        except ValueError:  # the source takes no missing values, and neither does the signature
            return np.full(len(self.features), np.nan)

    def _numbers(self, order: Array) -> Array:
        return np.where(self.narrow, _number(order, np.float32), _number(order, np.float64))


def _order(value: Any) -> int:
    """The place of a float among the floats of its dtype, as an integer."""
    kind = np.int64 if value.dtype == np.float64 else np.int32
    bits = int(np.asarray(value).view(kind))
    return bits if bits >= 0 else int(np.iinfo(kind).min) - bits


def _number(order: Array, dtype: Any) -> Array:
    """The floats at these places, as float64."""
    kind = np.int64 if dtype == np.float64 else np.int32
    place = np.clip(order, np.iinfo(kind).min + 1, np.iinfo(kind).max).astype(kind)
    return np.where(place >= 0, place, np.iinfo(kind).min - place).astype(kind).view(dtype).astype(np.float64)


def _compact(ensemble: Ensemble, arrays: dict[str, Array], columns: list[Column], raw: int) -> tuple[Trees, list[Column]]:
    """Keep the columns that are read, each once; the raw matrix itself where nothing else is read."""
    leaf = arrays["feature"] == LEAF
    places: dict[Any, int] = {}
    kept: list[Column] = []
    target = np.zeros(len(columns), np.int64)
    for at in np.unique(arrays["feature"][~leaf]).tolist():
        column = columns[at]
        key = column if isinstance(column, Number) else at
        if key not in places:
            places[key] = len(kept)
            kept.append(column)
        target[at] = places[key]
    if all(isinstance(column, Number) and column == Number((RAW, column.source[1])) for column in kept):
        target[:] = [column.source[1] for column in columns]
        kept = [Number((RAW, at)) for at in range(raw)]
    arrays["feature"] = np.where(leaf, LEAF, target[np.where(leaf, 0, arrays["feature"])])
    return Trees(columns=len(kept), aggregate=ensemble.aggregate, **arrays), kept
