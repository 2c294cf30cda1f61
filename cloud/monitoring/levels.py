"""Minutes, hours and days of Unix time, and which rows of them make up a span."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Level = Literal["minute", "hour", "day", "judged"]
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SIZES: dict[Level, int] = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS}
FINER: dict[Level, Level] = {"hour": "minute", "day": "hour"}


def floor(level: Level, at_ms: int) -> int:
    """The beginning of the minute, hour or day that holds this moment (UTC)."""
    return at_ms // SIZES[level] * SIZES[level]


def cover(rows: Iterable[tuple[Level, int]], start_ms: int, end_ms: int) -> list[tuple[Level, int]]:
    """The (level, start) of these that together are the span, each minute once: the coarsest that lie wholly inside it come first.

    >>> cover([("hour", 0), ("minute", 0), ("minute", 3_600_000)], 0, 7_200_000)
    [('hour', 0), ('minute', 3600000)]
    """
    known, chosen, taken = set(rows), list[tuple[Level, int]](), set[tuple[Level, int]]()
    for level in ("day", "hour", "minute"):
        for start in sorted(start for held, start in known if held == level):
            inside = start >= start_ms and start + SIZES[level] <= end_ms
            above = (("day", floor("day", start)), ("hour", floor("hour", start)))
            if inside and not any(place in taken for place in above):
                chosen.append((level, start))
                taken.add((level, start))
    return sorted(chosen, key=lambda place: (place[1], place[0]))
