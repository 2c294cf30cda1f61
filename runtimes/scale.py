"""Numbers to pixels of a plot, and the round numbers on its axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True)
class Scale:
    """Numbers to pixels, linear; what is beyond the ends stands at the ends.

    >>> Scale(0, 10, 100, 200).at(5), Scale(0, 10, 100, 200).ticks(2)
    (150.0, [0, 5, 10])
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a number."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers from low to high."""
        raw = (self.high - self.low) / count
        power = 10.0 ** floor(log10(raw))
        step = next(part * power for part in (1, 2, 5, 10) if part * power >= raw * 0.999)
        return [place * step for place in range(ceil(self.low / step), floor(self.high / step) + 1)]
