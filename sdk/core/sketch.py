"""A mergeable sketch of quantiles: a fixed number of numbers that stand for any number of values.

Compaction after Munro-Paterson and KLL (Karnin, Lang and Liberty 2016), without their randomness: levels of at most K
values, a value of level i standing for 2^i; a full level is sorted and every second value goes up, odd and even places in
turn. The same values in the same order give the same sketch. Rank errors stay near log2(n / K) / K.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .signature import Array

K = 256
"""Values per level."""


@dataclass(frozen=True)
class Sketch:
    """Immutable; `levels[i]` holds values of weight 2^i, `turns[i]` counts its compactions (their parity is used)."""

    levels: tuple[Array, ...] = ()
    turns: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: Array) -> Sketch:
        """The sketch of finite values, in order."""
        held = np.asarray(values, np.float64).ravel() + 0.0  # no -0.0: sorting leaves it anywhere among the zeros
        return _compacted([held[np.isfinite(held)]], [0])

    @property
    def weight(self) -> int:
        """Values that the sketch stands for."""
        return sum(len(level) << height for height, level in enumerate(self.levels))

    def merge(self, other: Sketch) -> Sketch:
        """The sketch of both."""
        height = max(len(self.levels), len(other.levels))
        levels = [np.concatenate([_at(self.levels, place), _at(other.levels, place)]) for place in range(height)]
        return _compacted(levels, [_turn(self.turns, place) + _turn(other.turns, place) for place in range(height)])

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
        return {"levels": [np.sort(level).tolist() for level in self.levels], "turns": list(self.turns)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sketch:
        """Parse what `to_dict` wrote."""
        return cls(tuple(np.asarray(level, np.float64) for level in data["levels"]), tuple(data["turns"]))


def _compacted(levels: list[Array], turns: list[int]) -> Sketch:
    height = 0
    while height < len(levels):
        held = np.sort(levels[height])
        if len(held) > K:
            if height + 1 == len(levels):
                levels.append(np.zeros(0))
                turns.append(0)
            keep = len(held) % 2  # an odd value stays, so that weights add up
            levels[height], moved = held[:keep], held[keep:]
            levels[height + 1] = np.concatenate([levels[height + 1], moved[turns[height] % 2 :: 2]])
            turns[height] += 1
        else:
            levels[height] = held
        height += 1
    return Sketch(tuple(levels), tuple(turns))


def _at(levels: Sequence[Array], place: int) -> Array:
    return levels[place] if place < len(levels) else np.zeros(0)


def _turn(turns: Sequence[int], place: int) -> int:
    return turns[place] if place < len(turns) else 0
