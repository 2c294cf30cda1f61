"""Which minutes are judged together: spans one after the other, each with rows enough to say something. Pure.

Spans do not overlap, so what is found in one is no repetition of what was found in the one before, and a rate of false alarms per span
means what it says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .levels import MINUTE_MS


@dataclass(frozen=True)
class Span:
    """The starts of its minutes, and where it begins and ends."""

    minutes: tuple[int, ...]
    rows: int

    @property
    def start_ms(self) -> int:
        """Of its first minute."""
        return self.minutes[0]

    @property
    def end_ms(self) -> int:
        """Of its last minute."""
        return self.minutes[-1] + MINUTE_MS


def ended(minutes: Iterable[tuple[int, int]], rows: int, most_minutes: int, closed_ms: int) -> list[Span]:
    """The spans that have ended.

    Args:
        minutes: (start, rows) of minutes that were not judged yet, in order; those without records are not there.
        rows: a span ends with the minute in which it has so many.
        most_minutes: or when so much time has passed since it began, whatever it has.
        closed_ms: minutes that end later may still grow.
    """
    found, held, count = list[Span](), list[int](), 0
    for start, more in minutes:
        if start + MINUTE_MS > closed_ms:
            break
        if held and start - held[0] >= most_minutes * MINUTE_MS:
            found.append(Span(tuple(held), count))
            held, count = [], 0
        held, count = [*held, start], count + more
        if count >= rows:
            found.append(Span(tuple(held), count))
            held, count = [], 0
    if held and closed_ms - held[0] >= most_minutes * MINUTE_MS:
        found.append(Span(tuple(held), count))
    return found
