"""timeline.html: what happened, on one axis of time. It needs nothing but itself."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from drawing import STYLE, Frame, Panel, area, band, curve, dots, gates_table, key, panel, strips, versions_key
from figures import WINDOW, Row, by_act, closing, rolling, spans
from story import Story

COLOURS = {"alerts": "var(--alert)", "dial": "var(--alone)", "versions": "var(--loop)", "rollout": "var(--queue)", "device": "var(--none)"}
CURVES = (("loop", "answers, with the loop", ""), ("model", "the model that was asked, alone", ""),
          ("none", "the same cells without the loop", "7 4"), ("old", "the first version alone", "2 4"))  # fmt: skip


def write(story: Story) -> Path:
    """Write the page; its path."""
    path = story.out / "timeline.html"
    path.write_text(_page(story), encoding="utf-8")
    return path


def _page(story: Story) -> str:
    found = story.figures
    told = "".join(f"<li>{html.escape(f'{name}: {text}')}</li>" for name, text in closing(found).items())
    hands = "".join(f"<li>{html.escape(text)}</li>" for text in story.by_hand())
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The loop closes: solar cells</title><style>{STYLE}</style><main>
<h1>Poly cells arrived</h1>
<p class="lead">A model of photographs of solar cells was trained on mono cells. Then poly cells came, of which it knows nothing.
{"Somebody looked at the checks" if story.by_hand() else "The monitor said so"}, people took over, a candidate was trained on what they
decided, passed its gates, was tried beside the first version, and went on to a camera in the field. {_learned(story)}</p>
{_tiles(story)}
<h2>What happened</h2>
<div class="key">{key(*CURVES)}</div>
<div class="scroll">{_timeline(story)}</div>
<div class="key">Version that answers: {versions_key(versions_of(found["rows"]))}</div>
<p><small>Balanced accuracy of {WINDOW} cells at the server, around each moment: 0.5 is a coin. The true labels are known here because the
cells were judged before. Without the loop: the first version, its dial as it was fitted and never touched, people where it is not
sure.</small></p>
<h2>Act by act</h2><div class="scroll">{_acts(story)}</div>
<h2>On cells that never arrived</h2><div class="scroll">{_held(story)}</div>
<p><small>Balanced accuracy on held-out modules; 95% intervals, modules drawn anew.</small></p>
<h2>Why it was promoted</h2><p>{html.escape(found.get("why", ""))}</p>{gates_table(found.get("gates", {}))}
<h2>What it cost, what was lost</h2><ul>{told}</ul>{f"<p>Done by hand:</p><ul>{hands}</ul>" if hands else ""}
<h2>Everything that was said</h2><div class="scroll">{_marks(story)}</div>
<p><small>Cells: ELPV dataset, CC BY-NC-SA 4.0 (Buerhop-Lutz et al. 2018; Deitsch et al. 2019).</small></p>
</main></html>"""


def _learned(story: Story) -> str:
    """What the newest version knows of cells that never arrived."""
    held = list(story.figures["held"].values())
    first, last = held[0]["poly"], held[-1]["poly"]
    apart = last[1] > first[2]
    said = "It knows poly cells better" if apart else "Whether it knows poly cells better these few cells do not show"
    return f"{said}: balanced accuracy on poly cells that never arrived {first[0]:.2f} before, {last[0]:.2f} after."


def _tiles(story: Story) -> str:
    found, acts = story.figures, {name: held for name, _, held in by_act(story)}
    during, late = acts.get("poly cells arrive"), acts.get("afterwards, the dial anew")
    tiles = [("balanced accuracy of answers as poly cells arrive", f"{during['with']:.2f}" if during else ""),
             ("afterwards, with the new version", f"{late['with']:.2f}" if late else ""),
             ("afterwards, without the loop", f"{late['without']:.2f}" if late else ""),
             ("of the last cells, decided by the model alone", f"{late['alone']:.0%}" if late else ""),
             ("decisions of people", f"{found['decisions']:,}"),
             ("records lost, of server and device", f"{found['lost'] + found['device_lost']}")]  # fmt: skip
    return '<div class="tiles">' + "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in tiles) + "</div>"


def _timeline(story: Story) -> str:
    """All panels over one axis of time."""
    rows = story.figures["rows"]
    served, field = [row for row in rows if row.where == "server"], [row for row in rows if row.where == "device"]
    acts = spans(story)
    begin = next((at for name, at, _ in acts if name != "teach"), 0.0)
    frame = Frame(begin, acts[-1][2], 132, 986)
    at, truth = [row.at_s for row in served], np.array([row.truth for row in served])
    lines = {"loop": np.array([row.final for row in served]), "model": np.array([row.model for row in served]),
             "none": story.figures["without"], "old": story.figures["old"]}  # fmt: skip
    accuracy, share, queue = Panel(54, 210, 0.3, 1.0), Panel(238, 308, 0.0, 1.0), Panel(336, 396, 0.0, _most(story))
    alone = np.array([row.alone for row in served], float)
    parts = [*_bands(acts, frame), panel(frame, accuracy, ["balanced", "accuracy"], (0.5, 0.75, 1.0)),
             panel(frame, share, ["decided by", "the model"], (0.0, 1.0), percent=True),
             panel(frame, queue, ["waiting for", "people"], (0.0, _most(story)))]  # fmt: skip
    parts += [curve(frame, accuracy, *rolling(at, lines[name], truth), f"var(--{name})", dash) for name, _, dash in reversed(CURVES)]
    parts.append(area(frame, share, *_smooth(at, alone), "var(--alone)"))
    parts.append(area(frame, queue, [one["at_s"] for one in story.samples], [one["waiting"] for one in story.samples], "var(--queue)"))
    versions = versions_of(rows)
    parts += [strips(frame, y, name, [(row.at_s, row.version) for row in held], versions)
              for y, name, held in ((424, "server", served), (448, "device", field))]  # fmt: skip
    parts.append(band(frame, 472, "no network", [(a, b) for a, b in _offline(story)], "var(--old)"))
    parts += [dots(frame, 506 + 22 * place, lane, [mark.at_s for mark in story.marks if mark.lane == lane], colour)
              for place, (lane, colour) in enumerate(COLOURS.items())]  # fmt: skip
    parts.append(_axis(frame, 622))
    label = "Accuracy, automation, queue, versions and alerts over time"
    return f'<svg viewBox="0 0 1000 640" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _most(story: Story) -> float:
    return float(max([4, *(one["waiting"] for one in story.samples)]))


def _bands(acts: Sequence[tuple[str, float, float]], frame: Frame) -> list[str]:
    """Every other act is shaded; their names stand in three rows, for some acts are short."""
    parts = list[str]()
    shown = [(name, max(a, frame.begin), b) for name, a, b in acts if b > frame.begin]
    for place, (name, a, b) in enumerate(shown):
        x, width = frame.x(a), frame.x(b) - frame.x(a)
        parts.append(f'<rect class="act" x="{x:.1f}" y="40" width="{width:.1f}" height="566" opacity="{place % 2}"/>')
        middle = min(x + width / 2, frame.right - 3.4 * len(_short(name)))
        parts.append(f'<text class="mid" x="{middle:.1f}" y="{10 + 13 * (place % 3)}">{html.escape(_short(name))}</text>')
    return parts


def _short(name: str) -> str:
    return {"people label, a candidate is trained": "people label, training", "afterwards, the dial anew": "dial anew",
            "the device comes home": "device home"}.get(name, name)  # fmt: skip


def _smooth(at: Sequence[float], values: np.ndarray, window: int = 24) -> tuple[list[float], list[float]]:
    parts = [slice(max(0, end - window), end) for end in range(min(window, len(values)), len(values) + 1, 3)]
    return [float(np.mean(at[part])) for part in parts], [float(values[part].mean()) for part in parts]


def versions_of(rows: Sequence[Row]) -> list[str]:
    """Those that answered, in the order in which they came."""
    return list(dict.fromkeys(row.version for row in rows))


def _offline(story: Story) -> list[tuple[float, float]]:
    """When the device had no network."""
    found, since = list[tuple[float, float]](), None
    for one in story.samples:
        if one["online"] is False and since is None:
            since = one["at_s"]
        if one["online"] and since is not None:
            found.append((since, one["at_s"]))
            since = None
    return found


def _axis(frame: Frame, y: int) -> str:
    ends = int(frame.end - frame.begin)
    step = next(each for each in (15, 30, 60, 120, 300) if ends / each <= 12)
    return "".join(f'<text class="mid" x="{frame.x(frame.begin + at):.1f}" y="{y}">{at // 60}:{at % 60:02d}</text>'
                   for at in range(0, ends + 1, step))  # fmt: skip


HEAD = ("act", "cells", "of them poly", "decided by the model", "answers", "model asked", "without the loop", "first version")


def _acts(story: Story) -> str:
    head = "".join(f'<th class="{"n" if place else ""}">{name}</th>' for place, name in enumerate(HEAD))
    rows = ""
    for act, count, held in by_act(story):
        shown = [str(count), f"{held['poly']:.0%}", f"{held['alone']:.0%}"]
        shown += [f"{held[name]:.2f}" for name in ("with", "model", "without", "old")]
        rows += f"<tr><td>{html.escape(act)}</td>" + "".join(f'<td class="n">{one}</td>' for one in shown) + "</tr>"
    return f"<table><tr>{head}</tr>{rows}</table>"


def _held(story: Story) -> str:
    rows = ""
    for name, held in story.figures["held"].items():
        shown = "".join(f'<td class="n">{value:.3f} <small>({low:.2f} to {high:.2f})</small></td>' for value, low, high in held.values())
        rows += f"<tr><td>{html.escape(name)}</td>{shown}</tr>"
    kinds = "".join(f'<th class="n">{kind}</th>' for kind in next(iter(story.figures["held"].values())))
    return f"<table><tr><th>version</th>{kinds}</tr>{rows}</table>"


def _marks(story: Story) -> str:
    rows = ""
    for mark in story.marks:
        at = f"{int(mark.at_s) // 60}:{int(mark.at_s) % 60:02d}"
        text = html.escape(mark.text) + (" <b>(by hand)</b>" if mark.by_hand else "")
        rows += f'<tr><td class="n">{at}</td><td class="lane" style="color:{COLOURS[mark.lane]}">{mark.lane}</td><td>{text}</td></tr>'
    return f"<table>{rows}</table>"
