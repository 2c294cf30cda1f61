"""Labels in a plot that cover neither each other nor what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from math import hypot

LETTER, LINE = 6.4, 15
"""Width of a letter and height of a line at 12 px."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Spot = tuple[float, float, float]
"""A dot: x, y, radius."""


@dataclass
class Room:
    """Where labels may stand: between left and right, above bottom, off the boxes that are taken."""

    left: float
    right: float
    bottom: float
    taken: list[Box]

    def labels(self, names: Iterable[tuple[int, str]], spots: Mapping[int, Spot]) -> list[str]:
        """SVG of (dot, text) in the order of importance; one without room is left out."""
        lines: list[str] = []
        for key, text in names:
            box = self._place(spots[key], len(text) * LETTER)
            if box is not None:
                self.taken.append(box)
                lines.append(f"{_leader(spots[key], box)}<text x={box[0]:.1f} y={box[3] - 4:.1f}>{escape(text)}</text>")
        return lines

    def _place(self, spot: Spot, wide: float) -> Box | None:
        """The nearest free box: right, left, above, below, then further away."""
        x, y, radius = spot
        for far in range(0, 140, 14):
            gap = radius + 6 + far
            for left, top in ((x + gap, y - 8), (x - gap - wide, y - 8), (x - wide / 2, y - gap - LINE), (x - wide / 2, y + gap),
                              (x + radius, y - gap - 8), (x + radius, y + gap - 8), (x - wide - radius, y - gap - 8)):  # fmt: skip
                box = (left, top, left + wide, top + LINE)
                if self._free(box):
                    return box
        return None

    def _free(self, box: Box) -> bool:
        inside = box[0] >= self.left and box[2] <= self.right and box[1] >= 0 and box[3] <= self.bottom
        return inside and not any(box[0] < held[2] and held[0] < box[2] and box[1] < held[3] and held[1] < box[3] for held in self.taken)


def _leader(spot: Spot, box: Box) -> str:
    """A thin line from a dot to a label that does not stand beside it."""
    x, y, radius = spot
    to = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
    beside = hypot(to[0] - x, to[1] - y) < radius + 12
    return "" if beside else f"<path d='M{x:.1f} {y:.1f}L{to[0]:.1f} {to[1]:.1f}' class=whisker opacity=.4 />"
