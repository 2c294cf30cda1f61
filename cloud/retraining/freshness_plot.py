"""The freshness experiment as one SVG: quality on today's rows against the age of what a model was trained on, and the champion's."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from ...runtimes.scale import Scale
from .freshness import Freshness

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 360, 70, 24, 40, 52
STYLE = (
    "svg{color-scheme:light dark;font:13px system-ui,sans-serif}text{fill:light-dark(#444,#ccc)}.grid{stroke:light-dark(#ddd,#444)}"
    ".line{stroke:#0072b2;stroke-width:2;fill:none}.span{stroke:#0072b2;stroke-width:1.5}.at{fill:#0072b2}"
    ".champion{stroke:light-dark(#b3261e,#ff8a80);stroke-dasharray:6 4}text.champion{fill:light-dark(#b3261e,#ff8a80);stroke:none}"
)


class _Frame(NamedTuple):
    """Days across, the newest at the right; the metric upwards."""

    days: float
    low: float
    high: float

    def x(self, days: float) -> float:
        return WIDTH - RIGHT - 20 - days / (self.days or 1.0) * (WIDTH - LEFT - RIGHT - 40)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def plot(found: Freshness) -> str:
    """The figure; it stands alone, light and dark."""
    ends = [end for point in found.points for end in (point.quality.low, point.quality.high)] + [found.champion.value]
    room = max(max(ends) - min(ends), 1e-6) * 0.08
    frame = _Frame(max(point.age_days for point in found.points), min(ends) - room, max(ends) + room)
    parts = [*_grid(frame, found), *_champion(frame, found), *_points(frame, found)]
    about = f"{found.metric} on {found.today} rows of today by the age of the training data; {found.verdict}"
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(about, quote=True)}'>"
            f"<style>{STYLE}</style>{''.join(parts)}</svg>\n")  # fmt: skip


def _grid(frame: _Frame, found: Freshness) -> list[str]:
    parts = [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "age of the newest training row, days before today"),
             _text(8, 20, f"{found.metric} on {found.today} rows of today, with 95% intervals", "start")]  # fmt: skip
    for value in Scale(frame.low, frame.high, 0, 1).ticks(5):
        parts += [f"<path d='M{LEFT} {frame.y(value):.1f}H{WIDTH - RIGHT}' class='grid'/>",
                  _text(LEFT - 8, frame.y(value) + 4, f"{value:g}", "end")]  # fmt: skip
    return parts


def _champion(frame: _Frame, found: Freshness) -> list[str]:
    y = frame.y(found.champion.value)
    return [f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' class='champion'/>",
            f"<path d='M{WIDTH - 190} 16h28' class='champion'/>",
            f"<text x='{WIDTH - 156}' y='20' class='champion'>the champion: {found.champion.value:.3g}</text>"]  # fmt: skip


def _points(frame: _Frame, found: Freshness) -> list[str]:
    places = [(frame.x(point.age_days), point) for point in found.points]
    line = "L".join(f"{x:.1f} {frame.y(point.quality.value):.1f}" for x, point in places)
    parts = [f"<path d='M{line}' class='line'/>"]
    for x, point in places:
        held, age = point.quality, f"{point.age_days:,.0f}" if point.age_days >= 10 else f"{point.age_days:.2g}"
        parts += [f"<path d='M{x:.1f} {frame.y(held.low):.1f}V{frame.y(held.high):.1f}' class='span'/>",
                  f"<circle cx='{x:.1f}' cy='{frame.y(held.value):.1f}' r='4.5' class='at'/>",
                  _text(x, HEIGHT - BOTTOM + 18, age)]  # fmt: skip
    return parts


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{escape(words)}</text>"
