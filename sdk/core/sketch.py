"""A mergeable sketch of quantiles: a fixed number of numbers that stand for any number of values, and how wrong they can be.

Compaction after Munro-Paterson and KLL (Karnin, Lang and Liberty 2016), without their randomness: levels of at most K
values, a value of level i standing for 2^i; a full level is sorted and every second value goes up. The same values in the
same order give the same sketch.

Every compaction of level i moves a rank by at most 2^i, and in one direction: upwards where the lower of each pair goes
on, downwards where the upper does. Both sums are kept, and the next compaction goes the way of the smaller one, so the
largest error that a rank can have is small, and *known*:

    >>> sketch = Sketch.merge_all([Sketch.of(np.random.default_rng(seed).random(5000)) for seed in range(20)])
    >>> sketch.weight, round(sketch.error, 4)
    (100000, 0.0068)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from operator import attrgetter
from typing import Any

import numpy as np

from .signature import Array

K = 256
"""Values per level."""


@dataclass(frozen=True)
class Sketch:
    """Immutable.

    Attributes:
        levels: `levels[i]` holds values of weight 2^i.
        over, under: by how many values a rank may have come out too high, and too low.
    """

    levels: tuple[Array, ...] = ()
    over: int = 0
    under: int = 0

    @classmethod
    def of(cls, values: Array) -> Sketch:
        """The sketch of finite values, in order."""
        held = np.asarray(values, np.float64).ravel() + 0.0  # no -0.0: sorting leaves it anywhere among the zeros
        held = held[np.isfinite(held)]
        return compacted([held], 0, 0) if held.size else cls()

    @property
    def weight(self) -> int:
        """Values that the sketch stands for."""
        return sum(len(level) << height for height, level in enumerate(self.levels))

    @property
    def error(self) -> float:
        """The most by which `shares` can be wrong anywhere, in either direction; 0 where all values are still here."""
        return max(self.over, self.under) / self.weight if self.over or self.under else 0.0

    def merge(self, other: Sketch) -> Sketch:
        """The sketch of both."""
        return Sketch.merge_all((self, other))

    @classmethod
    def merge_all(cls, sketches: Sequence[Sketch]) -> Sketch:
        """The sketch of all of them, compacted once: faster than one after the other, and with a smaller error."""
        held = [parts for parts in map(_PARTS, sketches) if parts[0]]
        if len(held) < 2:
            return cls(*held[0]) if held else cls()
        levels, over, under = zip(*held, strict=True)
        joined = [np.concatenate([level for level in row if level is not None]) for row in zip_longest(*levels)]
        return compacted(joined, sum(over), sum(under))

    @cached_property
    def points(self) -> tuple[Array, Array]:
        """(values, shares): ascending values, equal ones once, and the share of all values that are at most as large."""
        values = np.concatenate(self.levels) if self.levels else np.zeros(0)
        weights = np.repeat([1 << height for height in range(len(self.levels))], [len(level) for level in self.levels])
        order = np.argsort(values, kind="stable")
        values, reached = values[order], np.cumsum(weights[order])
        last = np.append(values[1:] != values[:-1], True)[: len(values)]
        return values[last], reached[last] / max(self.weight, 1)

    def shares(self, values: Array) -> Array:
        """The share of all values that are at most as large as each of these; off by `error` at the most."""
        places, reached = self.points
        return np.append(0.0, reached)[np.searchsorted(places, values, side="right")]

    def quantiles(self, shares: Sequence[float]) -> Array:
        """The values at these shares of the order, in [0, 1]; NaN for an empty sketch."""
        if not self.weight:
            return np.full(len(shares), np.nan)
        values = np.concatenate(self.levels)
        weights = np.concatenate([np.full(len(level), float(1 << height)) for height, level in enumerate(self.levels)])
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        places = np.searchsorted(reached, np.asarray(shares) * reached[-1], side="left")
        return values[order][np.minimum(places, len(values) - 1)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        turns = [0] * len(self.levels)  # compactions of a level: what readers of before errors were kept go by
        return {"levels": [np.sort(level).tolist() for level in self.levels], "turns": turns, "error": [self.over, self.under]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sketch:
        """Parse what `to_dict` wrote; for a sketch of before errors were kept, the worst that its compactions can have done."""
        return cls(tuple(np.asarray(level, np.float64) for level in data["levels"]), *errors_of(data))


def errors_of(data: Mapping[str, Any]) -> tuple[int, int]:
    """(over, under) of what `to_dict` wrote; for a sketch of before errors were kept, the worst that its compactions can have done."""
    worst = sum(turns << height for height, turns in enumerate(data["turns"]))
    over, under = data.get("error", (worst, worst))
    return over, under


_PARTS = attrgetter("levels", "over", "under")


def compacted(levels: list[Array], over: int, under: int) -> Sketch:
    """The sketch of these levels, whose values the caller must not need any more: they are sorted in place. No part of them is kept."""
    height, ordered = 0, False
    while height < len(levels):
        held = levels[height]
        if not ordered:
            held.sort()
        ordered = False
        if len(held) > K:
            if height + 1 == len(levels):
                levels.append(np.zeros(0))
            keep, upper = len(held) % 2, int(over > under)  # an odd value stays, so that weights add up
            levels[height], moved = held[:keep], held[keep:]
            ordered = not len(levels[height + 1])  # then what goes up is sorted already
            levels[height + 1] = moved[upper::2] if ordered else np.concatenate([levels[height + 1], moved[upper::2]])
            over, under = over + (0 if upper else 1 << height), under + (1 << height if upper else 0)
        else:
            levels[height] = held
        height += 1
    return Sketch(tuple(level.copy() for level in levels), over, under)  # no views: they would keep all that was sorted
