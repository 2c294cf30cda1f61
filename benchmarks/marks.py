"""Marks of the benchmarks' plots: SVG that reads on light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def text(x: float, y: float, words: str, anchor: str = "middle", colour: str = "#777") -> str:
    """Words at a place."""
    return f"<text x='{x:.0f}' y='{y:.0f}' text-anchor='{anchor}' fill='{colour}'>{escape(words)}</text>"


def dot(x: float, y: float, radius: float, colour: str, title: str) -> str:
    """A file; the title appears under the pointer."""
    return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius:.1f}' fill='{colour}' fill-opacity='.4'><title>{escape(title)}</title></circle>"


def steps(corners: Sequence[tuple[float, float]], colour: str, top: float | None = None, right: float | None = None) -> str:
    """A front as steps through corners in the order of x; begun from `top` and led on to `right` where they are given."""
    if not corners:
        return ""
    path = "".join(f"H{x:.1f}V{y:.1f}" for x, y in corners).replace("H", "M", 1)
    begun = path.replace("V", f" {corners[0][1] if top is None else top:.1f}V", 1)
    ended = "" if right is None else f"H{right:.1f}"
    return f"<path d='{begun}{ended}' stroke='{colour}' fill='none' stroke-width='1.5'/>"
