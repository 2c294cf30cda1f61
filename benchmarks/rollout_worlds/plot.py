"""Two panels: how often a limit is called proven although it is not, and how soon it is where it is; by units, for each way of looking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from .limits import ALPHA

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP, LETTER = 880, 380, 56, 64, 52, 64, 6.6
COLOURS = {"portside": "#0072b2", "z-test, looking every 100": "#d55e00", "ville betting": "#009e73", "ville asymptotic": "#cc79a7",
           "z-test, once": "#777", "portside, in shadow": "#56b4e9"}  # fmt: skip
STYLE = (
    "svg{color-scheme:light dark;font:13px system-ui,sans-serif}text{fill:light-dark(#444,#ccc)}.grid{stroke:light-dark(#ddd,#444)}"
    ".curve{stroke-width:2;fill:none}.limit{stroke:light-dark(#b3261e,#ff8a80);stroke-dasharray:6 4}"
)


def plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """The worlds of wrong answers: at the limit on the left, the same as the champion on the right."""
    left = [row for row in rows if row["world"].startswith("wrong") and row["world"].endswith("at the limit")]
    right = [row for row in rows if row["world"].startswith("wrong") and row["world"].endswith("the same")]
    wide = (WIDTH - LEFT - GAP - 32) / 2
    most = max([0.1, *(max(row["curve"]) for row in left)])
    parts = _panel(left, LEFT, wide, most * 1.1, "called proven, though the limit is reached", ALPHA)
    parts += _panel(right, LEFT + wide + GAP, wide, 1.0, "proven, where both are the same", None)
    places = accumulate((len(way) * LETTER + 18 for way in COLOURS), initial=LEFT)
    legend = [f"<text x='{place:.0f}' y='20' style='fill:{colour}'>{escape(way)}</text>"
              for place, (way, colour) in zip(places, COLOURS.items(), strict=False)]  # fmt: skip
    about = "how often a limit is called proven, by units seen: Portside, z-tests and ville"
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{about}'>"
            f"<style>{STYLE}</style>{''.join(legend + parts)}</svg>\n")  # fmt: skip


def _panel(rows: Sequence[Mapping[str, Any]], left: float, wide: float, most: float, title: str, limit: float | None) -> list[str]:
    high, units = HEIGHT - TOP - BOTTOM, max((row["units"] for row in rows), default=1)
    bottom = TOP + high

    def point(unit: float, share: float) -> str:
        return f"{left + unit / units * wide:.1f},{bottom - share / most * high:.1f}"

    parts = [f"<text x='{left}' y='{TOP - 14}'>{escape(title)}</text>"]
    for part in range(6):
        share, unit = most * part / 5, units * part / 5
        y, x = bottom - high * part / 5, left + wide * part / 5
        parts += [f"<line class='grid' x1='{left}' x2='{left + wide:.1f}' y1='{y:.1f}' y2='{y:.1f}'/>",
                  f"<text x='{left - 8}' y='{y + 4:.1f}' text-anchor='end'>{share:.0%}</text>",
                  f"<text x='{x:.1f}' y='{bottom + 20}' text-anchor='middle'>{unit:,.0f}</text>"]  # fmt: skip
    parts.append(f"<text x='{left + wide / 2:.1f}' y='{HEIGHT - 8}' text-anchor='middle'>units</text>")
    if limit is not None:
        y = bottom - limit / most * high
        parts += [f"<line class='limit' x1='{left}' x2='{left + wide:.1f}' y1='{y:.1f}' y2='{y:.1f}'/>"]
    for row in rows:
        held = [(units * (place + 1) / len(row["curve"]), share) for place, share in enumerate(row["curve"])]
        line = " ".join(point(unit, share) for unit, share in [(0.0, 0.0), *held])
        parts.append(f"<polyline class='curve' style='stroke:{COLOURS[row['way']]}' points='{line}'/>")
    return parts
