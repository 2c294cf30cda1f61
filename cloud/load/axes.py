"""Axes of the plots of a load: logarithmic where values span decades, lines over them, labels that keep apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Protocol

from ...runtimes.scale import Scale

HEIGHT, LEFT, TOP, BOTTOM, NARROW = 300, 54, 12, 44, 500
LABEL = 13
"""Least distance between two labels, pixels."""


class Axis(Protocol):
    """Numbers to pixels."""

    @property
    def start(self) -> float:
        """Pixel of the low end."""
        ...

    @property
    def end(self) -> float:
        """Pixel of the high end."""
        ...

    def at(self, value: float) -> float:
        """The pixel of a number."""
        ...

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers on it."""
        ...


@dataclass(frozen=True)
class LogScale:
    """As `Scale`, logarithmic; the ends are above zero.

    >>> LogScale(1, 100, 0, 200).at(10), LogScale(1, 100, 0, 200).ticks()
    (100.0, [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0])
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a number."""
        return Scale(log10(self.low), log10(self.high), self.start, self.end).at(log10(max(value, self.low)))

    def ticks(self, count: int = 7) -> list[float]:
        """1, 2 and 5 of every decade; the decades alone where those are more than `count`, and then every second of them."""
        powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        for parts, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2)):
            found = [part * 10.0**power for power in powers for part in parts if power % every == 0]
            found = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
            if len(found) <= count:
                break
        return found


def log_scale(values: Sequence[float], start: float, end: float) -> LogScale:
    """A logarithmic scale with room around the values."""
    above = [value for value in values if value > 0] or [1.0]
    return LogScale(min(above) / 1.3, max(above) * 1.3, start, end)


def frame(x: Axis, y: Axis, across: str, up: str, width: int) -> list[str]:
    """Grid lines, numbers and the names of both axes."""
    base, right = HEIGHT - BOTTOM, x.end
    lines = [f"<path d='M{LEFT} {y.at(held):.1f}H{right:.1f}' class=grid /><text x={LEFT - 6} y={y.at(held) + 4:.1f} class=soft "
             f"text-anchor=end>{number(held)}</text>" for held in y.ticks()]  # fmt: skip
    lines += [f"<path d='M{x.at(held):.1f} {TOP}V{base}' class=grid /><text x={x.at(held):.1f} y={base + 16} class=soft "
              f"text-anchor=middle>{number(held)}</text>" for held in x.ticks(4 if width < NARROW else 8)]  # fmt: skip
    middle = (TOP + base) / 2
    return [*lines, f"<text x={(LEFT + right) / 2:.1f} y={HEIGHT - 8} text-anchor=middle>{escape(across)}</text>",
            f"<text x=12 y={middle} text-anchor=middle transform='rotate(-90 12 {middle})'>{escape(up)}</text>"]  # fmt: skip


def line(points: Sequence[tuple[float, float]], kind: str, title: str, dots: bool = True) -> str:
    """Points joined by a line of this class; with dots that say their numbers."""
    if not points:
        return ""
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    marks = "".join(f"<circle cx={a:.1f} cy={b:.1f} r=2.5 class='{kind} mark' />" for a, b in points) if dots or len(points) == 1 else ""
    return f"<path d='{path}' class='{kind}'><title>{escape(title)}</title></path>{marks}"


def apart(wanted: Sequence[float], low: float, high: float) -> list[float]:
    """Heights for labels near where they are wanted, at least `LABEL` pixels from each other, in the order given.

    >>> apart([10, 12, 50], 0, 100)
    [10, 23, 50]
    """
    order, placed = sorted(range(len(wanted)), key=lambda place: wanted[place]), dict[int, float]()
    for before, place in zip([None, *order], order, strict=False):
        least = low if before is None else placed[before] + LABEL
        placed[place] = max(wanted[place], least)
    over = max(placed.values(), default=high) - high
    return [placed[place] - max(over, 0) for place in range(len(wanted))]


def svg(parts: Sequence[str], title: str, width: int, height: int = HEIGHT) -> str:
    """The figure; the page's style shows it at its width."""
    said = escape(title, quote=True)
    return f"<svg class=w{width} viewBox='0 0 {width} {height}' role=img aria-label='{said}'>{''.join(parts)}</svg>"


def number(value: float) -> str:
    """A number as an axis shows it: 12k, 3.5, 0.25."""
    if abs(value) >= 1e4:
        return f"{value / 1000:,.3g}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
