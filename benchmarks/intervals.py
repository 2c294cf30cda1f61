"""Means over seeds, and figures of them: intervals under each other as an SVG that reads on light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from marks import dot, text
from scipy import stats

ROW, TOP, BOTTOM = 24, 34, 26
"""Height of a row, and room above and below, in pixels."""
COLOUR = "#0072b2"


@dataclass(frozen=True)
class Row:
    """A figure, and the ends of its 95% interval; NaN where one seed tells none."""

    label: str
    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """It has an interval."""
        return bool(np.isfinite([self.low, self.high]).all())


def over_seeds(values: Iterable[float]) -> tuple[float, float, float]:
    """(mean, low, high): 95% by Student's t; NaN ends of a single seed."""
    held = np.asarray(list(values), np.float64)
    if len(held) < 2:
        return float(held.mean()), float("nan"), float("nan")
    reach = float(stats.t.ppf(0.975, len(held) - 1) * held.std(ddof=1) / np.sqrt(len(held)))
    return float(held.mean()), float(held.mean()) - reach, float(held.mean()) + reach


def figure(title: str, rows: Sequence[Row], limit: float | None = None, width: int = 760) -> str:
    """The figure; `limit`: a line that is aimed at."""
    left, height = 320, TOP + ROW * len(rows) + BOTTOM
    ends = [0.0, *(end for row in rows for end in ((row.low, row.value, row.high) if row.known else (row.value,)))]
    ends += [] if limit is None else [limit]
    low, high = min(ends), max(ends)
    room = 0.05 * (high - low) or 1.0

    def x(value: float) -> float:
        return left + (value - low + room) / (high - low + 2 * room) * (width - left - 80)

    drawn = [text(8, 18, title, "start")]
    for at, dashes in ((0.0, ""), *(() if limit is None else ((limit, " stroke-dasharray='4 3'"),))):
        drawn += [f"<path d='M{x(at):.1f} {TOP}V{height - BOTTOM}' stroke='#888'{dashes} fill='none'/>", text(x(at), height - 8, f"{at:g}")]
    for place, row in enumerate(rows):
        y, words = TOP + ROW * place + ROW / 2, f"{row.label}: {row.value:+.2f} ({row.low:+.2f} to {row.high:+.2f})"
        drawn += [text(left - 12, y + 4, row.label, "end"), dot(x(row.value), y, 5, COLOUR, words)]
        drawn.append(text(width - 8, y + 4, f"{row.value:+.2f}" if low < 0 else f"{row.value:.2f}", "end"))
        if row.known:
            drawn.append(f"<path d='M{x(row.low):.1f} {y}H{x(row.high):.1f}' stroke='{COLOUR}' stroke-width='2' fill='none'/>")
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img' aria-label='{escape(title, quote=True)}'>"
    return f"{head}<style>text{{font:13px sans-serif}}</style>{''.join(drawn)}</svg>\n"
