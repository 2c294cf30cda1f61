"""The page of the weather story: accuracy over 12,000 days, with the loop and without."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from drawing import STYLE, Frame, Panel, curve, dots, gates_table, key, panel

if TYPE_CHECKING:
    from rainfall import Weather

WINDOW = 300


def write(found: Weather, out: Path) -> Path:
    """Write timeline.html; its path."""
    path = out / "timeline.html"
    path.write_text(_page(found), encoding="utf-8")
    return path


def _page(found: Weather) -> str:
    rows = [*(one for one in found.told if one[0] <= found.labelled), *found.after]
    told = "".join(f'<tr><td class="n">{row:,}</td><td class="lane">{html.escape(name)}</td><td>{html.escape(what)}</td></tr>'
                   for row, name, what in rows)  # fmt: skip
    days = f"{found.alert - 12_000} days; {found.labelled - found.alert} days with labels later"
    late = slice(found.promoted, None)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The loop closes: weather</title><style>{STYLE}</style><main>
<h1>The columns were mixed up, and the loop noticed</h1>
<p class="lead">One weather station, a row a day, whether it rains. From row 12,000 on every measurement stands in another column.
The monitor tells of it after {days} a candidate is trained, passes its gates, and answers from row {found.promoted:,} on.</p>
<div class="tiles"><div class="tile"><b>{found.right["loop"][late].mean():.3f}</b><span>accuracy after the promotion</span></div>
<div class="tile"><b>{found.right["first"][late].mean():.3f}</b><span>without the loop, the same days</span></div>
<div class="tile"><b>{found.alert - 12_000}</b><span>days until it was told</span></div>
<div class="tile"><b>{sum(row < 12_000 for row, _, _ in found.told)}</b><span>alerts in the 6,000 days before</span></div></div>
<div class="key">{key(("loop", "with the loop", ""), ("none", "without", "7 4"))}</div>
<div class="scroll">{_drawn(found)}</div><p><small>Accuracy of the {WINDOW} days around each.</small></p>
<h2>Why it was promoted</h2><p>{html.escape(found.why)}</p>
{gates_table(found.gates)}
<h2>What was told</h2><div class="scroll"><table>{told}</table></div></main></html>"""


def _drawn(found: Weather) -> str:
    days = len(found.right["first"])
    frame, held = Frame(6000, days, 132, 986), Panel(20, 240, 0.3, 1.0)
    xs = np.arange(6000 + WINDOW // 2, days - WINDOW // 2, 40)
    parts = [panel(frame, held, ["accuracy"], (0.5, 0.75, 1.0))]
    for name, colour, dash in (("first", "var(--none)", "7 4"), ("loop", "var(--loop)", "")):
        ys = [float(found.right[name][x - WINDOW // 2 : x + WINDOW // 2].mean()) for x in xs]
        parts.append(curve(frame, held, [float(x) for x in xs], ys, colour, dash))
    marks = (("told", [float(row) for row, _, _ in found.told if row <= found.labelled], "var(--alert)"),
             ("trained", [float(found.labelled)], "var(--loop)"), ("promoted", [float(found.promoted)], "var(--alone)"))  # fmt: skip
    parts += [dots(frame, 270 + 22 * place, name, times, colour) for place, (name, times, colour) in enumerate(marks)]
    parts += [f'<text class="mid" x="{frame.x(row):.1f}" y="346">row {row:,}</text>' for row in range(7000, days, 2000)]
    return f'<svg viewBox="0 0 1000 356" role="img" aria-label="Accuracy with the loop and without">{"".join(parts)}</svg>'
