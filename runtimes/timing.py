"""Measure calls beside each other: interleaved repeats, so that whatever else the machine does hits all of them alike.

Single figures on a shared machine swing; ratios of interleaved runs do not. Every summary says how far its repeats lie apart.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_CALLS = 5
"""Calls per repeat, however long one takes."""


@dataclass(frozen=True)
class Samples:
    """Durations of one call, in seconds, per repeat."""

    repeats: tuple[tuple[float, ...], ...]

    @property
    def calls(self) -> int:
        """Calls over all repeats."""
        return sum(map(len, self.repeats))

    def percentile_ms(self, q: float) -> float:
        """The q-th percentile of all calls, in ms."""
        return float(np.percentile(np.concatenate(self.repeats), q) * 1000)

    def spread_ms(self) -> tuple[float, float]:
        """Lowest and highest median of a repeat, in ms."""
        medians = [float(np.median(repeat)) * 1000 for repeat in self.repeats]
        return min(medians), max(medians)

    def per_second(self) -> float:
        """Calls per second, one after the other."""
        return self.calls / sum(map(sum, self.repeats))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready summary."""
        low, high = self.spread_ms()
        figures = {f"p{q}_ms": self.percentile_ms(q) for q in (50, 95, 99)}
        return {**figures, "spread_ms": [low, high], "calls": self.calls, "per_second": self.per_second()}


@dataclass(frozen=True)
class Footprint:
    """What it takes to have a first answer.

    Attributes:
        cold_start_ms: from nothing (a process, a page) to the first answer; median.
        cold_start_spread_ms: lowest and highest.
        memory_mb: held after it, in 10**6 bytes; None where nobody says.
    """

    cold_start_ms: float
    cold_start_spread_ms: tuple[float, float]
    memory_mb: float | None


def interleave(calls: Mapping[str, Callable[[], object]], repeats: int = 5, seconds: float = 0.5) -> dict[str, Samples]:
    """Time calls in turns.

    Args:
        calls: name -> what is timed; each is called once beforehand, to warm up.
        repeats: turns of each.
        seconds: length of a turn (at least `LEAST_CALLS` calls).
    """
    for call in calls.values():
        call()
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in calls}
    names = list(calls)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(repeats):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                taken[name].append(_turn(calls[name], seconds))
            gc.collect()
    finally:
        if collecting:
            gc.enable()
    return {name: Samples(tuple(turns)) for name, turns in taken.items()}


def ratio(one: Samples, other: Samples) -> tuple[float, float, float]:
    """Median of `one` over median of `other`: over all calls, and the lowest and highest of paired repeats."""
    paired = [float(np.median(a) / np.median(b)) for a, b in zip(one.repeats, other.repeats, strict=True)]
    return one.percentile_ms(50) / other.percentile_ms(50), min(paired), max(paired)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_padded(row, widths)) for row in rows]
    return "\n".join([lines[0].rstrip(), "-" * len(lines[0]), *(line.rstrip() for line in lines[1:])])


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _turn(call: Callable[[], object], seconds: float) -> tuple[float, ...]:
    durations: list[float] = []
    clock = time.perf_counter
    until = clock() + seconds
    while len(durations) < LEAST_CALLS or clock() < until:
        start = clock()
        call()
        durations.append(clock() - start)
    return tuple(durations)
