"""Pieces of an SVG over one axis of time: frames, curves, areas, strips of versions, bands, dots."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
FILLS = tuple(f"var(--{name})" for name in ("old", "loop", "alone"))
"""Of versions, in the order in which they came."""


@dataclass(frozen=True)
class Frame:
    """Times `begin` to `end` in seconds between the pixels `left` and `right`."""

    begin: float
    end: float
    left: float
    right: float

    def x(self, at_s: float) -> float:
        """Pixels from the left."""
        inside = min(max(at_s, self.begin), self.end)
        return self.left + (self.right - self.left) * (inside - self.begin) / (self.end - self.begin)


@dataclass(frozen=True)
class Panel:
    """Values `low` to `high` between the pixels `bottom` and `top`."""

    top: float
    bottom: float
    low: float
    high: float

    def y(self, value: float) -> float:
        """Pixels from the top."""
        inside = min(max(value, self.low), self.high)
        return self.bottom - (self.bottom - self.top) * (inside - self.low) / (self.high - self.low)


def panel(frame: Frame, held: Panel, name: Sequence[str], ticks: Sequence[float], percent: bool = False) -> str:
    """Its name at the left, and lines at some values."""
    parts = [f'<text class="name" x="0" y="{held.top + 12 + 16 * place}">{html.escape(line)}</text>' for place, line in enumerate(name)]
    for tick in ticks:
        y, said = held.y(tick), f"{tick:.0%}" if percent else f"{tick:g}"
        parts.append(f'<line class="grid" x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{frame.left - 6}" y="{y + 4:.1f}">{said}</text>')
    return "".join(parts)


def curve(frame: Frame, held: Panel, xs: Sequence[float], ys: Sequence[float], colour: str, dash: str = "") -> str:
    """A line; values that are NaN are left out."""
    points = " ".join(f"{frame.x(x):.1f},{held.y(y):.1f}" for x, y in zip(xs, ys, strict=True) if not isnan(y))
    more = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{points}" stroke="{colour}"{more}/>'


def area(frame: Frame, held: Panel, xs: Sequence[float], ys: Sequence[float], colour: str) -> str:
    """What is below a line."""
    points = [(frame.x(x), held.y(y)) for x, y in zip(xs, ys, strict=True) if frame.begin <= x <= frame.end]
    if not points:
        return ""
    path = " L ".join(f"{x:.1f} {y:.1f}" for x, y in points)
    closed = f"M {points[0][0]:.1f} {held.bottom} L {path} L {points[-1][0]:.1f} {held.bottom} Z"
    return f'<path d="{closed}" style="fill:{colour};fill-opacity:.25" stroke="{colour}"/>'


def strips(frame: Frame, y: float, name: str, answers: Sequence[tuple[float, str]], versions: Sequence[str]) -> str:
    """A tick for each answer, in the colour and at the height of the version that gave it."""
    parts = [f'<text class="name" x="0" y="{y + 12}">{html.escape(name)}</text>']
    for at, version in answers:
        place = versions.index(version)
        parts.append(f'<rect x="{frame.x(at):.1f}" y="{y + 9 * place}" width="1.6" height="8" style="fill:{FILLS[place % len(FILLS)]}"/>')
    return "".join(parts)


def band(frame: Frame, y: float, name: str, spans: Sequence[tuple[float, float]], colour: str) -> str:
    """Bars from some times to others."""
    places = [(frame.x(a), max(1.0, frame.x(b) - frame.x(a))) for a, b in spans]
    bars = "".join(f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="9" rx="2" style="fill:{colour}"/>' for x, width in places)
    return f'<text x="0" y="{y + 13}">{html.escape(name)}</text>{bars}'


def dots(frame: Frame, y: float, name: str, times: Sequence[float], colour: str) -> str:
    """A dot for each of some times."""
    shown = "".join(f'<circle cx="{frame.x(at):.1f}" cy="{y}" r="5" style="fill:{colour}"/>' for at in times if at >= frame.begin)
    line = f'<line class="grid" x1="{frame.left}" x2="{frame.right}" y1="{y}" y2="{y}"/>'
    return f'<text class="name" x="0" y="{y + 4}" style="fill:{colour}">{html.escape(name)}</text>{line}{shown}'


def versions_key(versions: Sequence[str]) -> str:
    """Which colour is which version."""
    return key(*((FILLS[place % len(FILLS)][6:-1], version, "") for place, version in enumerate(versions)))


def key(*curves: tuple[str, str, str]) -> str:
    """What each curve is: (its colour, its words, its dashes)."""
    line = '<span><i style="border-color:var(--{});border-style:{}"></i>{}</span>'
    return "".join(line.format(name, "dashed" if dash else "solid", text) for name, text, dash in curves)


def gates_table(gates: Mapping[str, Any]) -> str:
    """Each gate with its verdict; nothing where none was asked."""
    rows = ""
    for one in gates.get("gates", []):
        name, outcome, why = (html.escape(str(one[key])) for key in ("name", "outcome", "why"))
        rows += f'<tr><td class="lane">{name}</td><td>{outcome}</td><td>{why}</td></tr>'
    return f'<div class="scroll"><table><tr><th>gate</th><th>verdict</th><th>why</th></tr>{rows}</table></div>' if rows else ""
