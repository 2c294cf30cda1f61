"""Intervals under each other as an SVG: a dot and a line per row, zero, and the limit that they must stay below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .scale import Scale

LINE, BOTTOM, EDGE, LETTER = 24, 26, 14, 6.6
"""Height of a row and of the axis, room at the right, width of a letter at 12 px."""
WIDTHS = (380, 780)
"""A figure is drawn twice: for a phone and for a desk; the page's style shows one of them."""
NARROW = 500
STYLE = """
.w380,.w780{display:block;width:100%;height:auto}.w380{max-width:440px}.w780{max-width:820px;display:none}
@media(min-width:700px){.w380{display:none}.w780{display:block}}
.span{stroke-width:2;fill:none}.span.bar{stroke:var(--bar)}.span.good{stroke:var(--good)}.span.bad{stroke:var(--bad)}
.span.wait{stroke:var(--wait)}circle.good{fill:var(--good)}circle.bad{fill:var(--bad)}circle.wait{fill:var(--wait)}
.zero{stroke:var(--soft);fill:none}
"""


@dataclass(frozen=True)
class Interval:
    """One row: a figure, the ends of its interval, and the largest that is allowed; None: nothing is asked of it."""

    label: str
    value: float
    low: float
    high: float
    limit: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"

    @property
    def state(self) -> str:
        """ "good" where the limit holds, "bad" where it surely does not, "wait" where the interval reaches over it."""
        if self.limit is None:
            return "bar"
        return "good" if self.high <= self.limit else "bad" if self.low > self.limit else "wait"


def plots(title: str, rows: Sequence[Interval]) -> str:
    """The figure at both widths; "" without rows."""
    return "".join(plot(title, rows, width) for width in WIDTHS) if rows else ""


def plot(title: str, rows: Sequence[Interval], width: int) -> str:
    """The figure for a page of this width in pixels."""
    left = min(max(len(row.label) for row in rows) * LETTER + 10, width * 0.42)
    right = width - (EDGE if width < NARROW else max(len(str(row)) for row in rows) * LETTER + EDGE)
    scale = _scale(rows, left, right)
    base = LINE * len(rows) + 6
    lines = [f"<path d='M{scale.at(held):.1f} 0V{base}' class={'zero' if held == 0 else 'grid'} />"
             f"<text x={scale.at(held):.1f} y={base + 16} class=soft text-anchor=middle>{held:.3g}</text>"
             for held in scale.ticks(4 if width < NARROW else 6)]  # fmt: skip
    lines += [part for place, row in enumerate(rows) for part in _row(row, place * LINE + 3, scale, int((left - 10) / LETTER))]
    if width >= NARROW:
        lines += [f"<text x={right + EDGE:.1f} y={place * LINE + LINE // 2 + 7} class=soft>{row}</text>" for place, row in enumerate(rows)]
    said = escape(title, quote=True)
    return f"<svg class=w{width} viewBox='0 0 {width} {base + BOTTOM}' role=img aria-label='{said}'>{''.join(lines)}</svg>"


def _scale(rows: Sequence[Interval], left: float, right: float) -> Scale:
    ends = [0.0, *(end for row in rows for end in (row.low, row.high))]
    reach = max(ends) - min(ends)
    ends += [row.limit for row in rows if row.limit is not None and row.limit < max(ends) + 2 * reach]
    room = (max(ends) - min(ends)) * 0.06 or 0.01
    return Scale(min(ends) - room, max(ends) + room, left, right)


def _row(row: Interval, top: int, scale: Scale, letters: int) -> list[str]:
    y, low, high = top + LINE // 2, scale.at(row.low), scale.at(row.high)
    label = row.label if len(row.label) <= letters else row.label[: letters - 1] + "…"
    bar = f"M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"
    lines = [
        f"<text x=0 y={y + 4}>{escape(label)}<title>{escape(row.label)}</title></text>",
        f"<path d='{bar}' class='span {row.state}'><title>{row}</title></path>",
        f"<circle cx={scale.at(row.value):.1f} cy={y} r=4 class='{row.state}' />",
    ]
    if row.limit is not None and row.limit < scale.high:
        lines.append(f"<path d='M{scale.at(row.limit):.1f} {top}v{LINE}' class=limit stroke-dasharray='4 3' />")
    return lines
