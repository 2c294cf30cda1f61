"""The trade-off as one SVG: how much is automated (and what that leaves for people) against how often the automated answers are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from .costs import Costs, price
from .fitting import Point, Threshold

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 64, 20, 56, 52
STYLE = (
    "svg{color-scheme:light dark;font:13px system-ui,sans-serif}text{fill:light-dark(#444,#ccc)}.grid{stroke:light-dark(#ddd,#444)}"
    ".band{fill:#0072b2;fill-opacity:.18}.curve{stroke:#0072b2;stroke-width:2;fill:none}"
    ".target{stroke:light-dark(#b3261e,#ff8a80);stroke-dasharray:6 4}text.target{fill:light-dark(#b3261e,#ff8a80);stroke:none}"
    ".at{fill:#0072b2}.mark{fill:none;stroke:light-dark(#444,#ccc);stroke-width:1.5}"
)


class Mark(NamedTuple):
    """Something else to compare with: what it is called, how much it automates, how often that is wrong."""

    name: str
    share: float
    error: float


class _Frame(NamedTuple):
    """Shares across, errors upwards to `most`."""

    most: float

    def x(self, share: float) -> float:
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, error: float) -> float:
        return HEIGHT - BOTTOM - min(error, self.most) / self.most * (HEIGHT - TOP - BOTTOM)


def plot(found: Threshold, costs: Costs, check_share: float = 0.0, marks: Sequence[Mark] = ()) -> str:
    """The curve with its one-sided band, the target, the threshold that was found, and what else there is."""
    points = [point for point in found.curve if point.rows >= MIN_SHOWN]
    frame = _Frame(_most(found, points, marks))
    parts = [*_grid(frame, costs, check_share), *_curve(frame, points), *_target(frame, found)]
    if found.at is not None:
        x, y = frame.x(found.at.share), frame.y(found.at.error)
        words, left = f"threshold {found.at.threshold:.3g}: {found.at.share:.0%} automated", found.at.share > 0.6
        parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='5' class='at'/>", _text(x, y + 20, words, "end" if left else "start")]
    for mark in marks:
        x, y = frame.x(mark.share), frame.y(mark.error)
        right = mark.share > 0.5
        parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4.5' class='mark'/>",
                  _text(x + (-9 if right else 9), y + 4, f"{mark.name}: {mark.error:.1%}", "end" if right else "start")]  # fmt: skip
    about = f"share automated against share of wrong answers; target {found.target_error:g}; {found.verdict}"
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(about, quote=True)}'>"
            f"<style>{STYLE}</style>{''.join(parts)}</svg>\n")  # fmt: skip


MIN_SHOWN = 20
"""Points on fewer labelled rows are noise."""


def _most(found: Threshold, points: Sequence[Point], marks: Sequence[Mark]) -> float:
    seen = [found.target_error * 2, *(point.error * 1.15 for point in points), *(mark.error * 1.15 for mark in marks)]
    return min(1.0, max(seen))


def _grid(frame: _Frame, costs: Costs, check_share: float) -> list[str]:
    """Shares below, people's hours per 1,000 rows above, errors to the left."""
    parts = [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "automated, of all rows"),
             _text(LEFT, 14, "hours of people per 1,000 rows", "start"), _text(6, TOP - 8, "wrong, of those", "start")]  # fmt: skip
    for tenth in range(0, 11, 2):
        share = tenth / 10
        hours = price(Point(0.0, share, 0.0, 0.0, 0, 0.0), costs, check_share).person_hours
        x = frame.x(share)
        parts += [f"<path d='M{x:.1f} {TOP}V{HEIGHT - BOTTOM}' class='grid'/>", _text(x, HEIGHT - BOTTOM + 18, f"{share:.0%}"),
                  _text(x, 32, f"{hours:.2g} h")]  # fmt: skip
    step = _step(frame.most)
    for place in range(int(frame.most / step + 1e-9) + 1):
        y = frame.y(place * step)
        parts += [f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' class='grid'/>", _text(LEFT - 8, y + 4, f"{place * step:.1%}", "end")]
    return parts


def _curve(frame: _Frame, points: Sequence[Point]) -> list[str]:
    if not points:
        return []
    ordered = sorted(points, key=lambda point: point.share)
    upper = [f"{frame.x(point.share):.1f} {frame.y(point.upper):.1f}" for point in ordered]
    middle = [f"{frame.x(point.share):.1f} {frame.y(point.error):.1f}" for point in ordered]
    return [f"<path d='M{'L'.join([*upper, *reversed(middle)])}Z' class='band'/>", f"<path d='M{'L'.join(middle)}' class='curve'/>"]


def _target(frame: _Frame, found: Threshold) -> list[str]:
    y = frame.y(found.target_error)
    return [f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' class='target'/>",
            f"<text x='{LEFT + 6}' y='{y - 6:.1f}' class='target'>target {found.target_error:.3g}</text>"]  # fmt: skip


def _step(most: float) -> float:
    return next(step for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if most / step <= 8 or step == 0.2)


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{escape(words)}</text>"
