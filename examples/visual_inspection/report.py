"""What the story showed: a table for the terminal, and an HTML page with pictures for people."""

from __future__ import annotations

import base64
import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cells import LABELS
from server import Answer, png

if TYPE_CHECKING:
    from run import Story

DEADLINE_MS = 250
COLOURS = {"cell-inspector": "var(--main)", "cell-inspector-small": "var(--backup)", "default": "var(--default)"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #fbfbf9; --card: #fff; --line: #dde1e6;
  --main: #2f6fb0; --backup: #d98a1f; --default: #8a8f98; --bad: #b3382c; --good: #2c7d4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --soft: #9aa5b3; --paper: #14181e; --card: #1c222b;
  --line: #323b47; --main: #69a7e4; --backup: #f0ad4e; --default: #9aa0aa; --bad: #f08a7e; --good: #6fcf97; } }
* { box-sizing: border-box } body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif } main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem } h2 { margin: 2.5rem 0 .6rem; font-size: 1.25rem }
p.lead { color: var(--soft); margin: 0 0 1.5rem; max-width: 46rem } .scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .92rem } th, td { text-align: left; padding: .45rem .7rem;
  border-bottom: 1px solid var(--line); white-space: nowrap } th { color: var(--soft); font-weight: 600 }
td.n { text-align: right; font-variant-numeric: tabular-nums } pre { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .9rem; overflow-x: auto; font-size: .82rem; line-height: 1.45 }
.bar { display: flex; height: 1.1rem; min-width: 12rem; border-radius: 4px; overflow: hidden; background: var(--line) }
.bar i { display: block } .key { display: flex; gap: 1.2rem; flex-wrap: wrap; color: var(--soft); font-size: .88rem; margin: .6rem 0 }
.key b { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px; margin-right: .4rem; vertical-align: -1px }
.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden }
figure img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover } figcaption { padding: .5rem .6rem .6rem;
  font-size: .84rem; line-height: 1.4 } .wrong { color: var(--bad); font-weight: 600 } .right { color: var(--good) }
small { color: var(--soft) } svg { width: 100%; min-width: 40rem; display: block } svg text { font-size: 14px; fill: var(--ink) }
svg .tick { text-anchor: middle; fill: var(--soft); font-size: 12px } .grid { stroke: var(--line) }
summary { cursor: pointer; color: var(--soft) }
"""


def succeeded(story: Story) -> bool:
    """Every request was answered and every verification passed."""
    answered = all(answer.status == 200 for answers in story.acts.values() for answer in answers)
    return answered and all(bool(report) for report in story.verified.values())


def table(story: Story) -> str:
    """The acts, the models' quality, and one receipt of each kind, as text."""
    lines = [f"{'act':24}{'requests':>9}{'failed':>8}{'p50 ms':>8}{'p99 ms':>8}  answered by"]
    lines += [f"{name:24}{row[0]:>9}{row[1]:>8}{row[2]:>8.0f}{row[3]:>8.0f}  {row[4]}" for name, row in _rows(story)]
    lines += ["", *(f"back after {name}: {seconds:.1f} s" for name, seconds in story.recovery_s.items())]
    for name, quality in story.quality.items():
        lines += ["", f"quality of {name} on {len(story.test)} held-out cells", str(quality)]
    for name, report in story.verified.items():
        lines += ["", f"verification of {name}", str(report)]
    lines += ["", "receipts"]
    return "\n".join([*lines, *(f"  {json.dumps(receipt)}" for receipt in _receipts(story))])


def write(story: Story) -> Path:
    """Write `report.html`, which needs nothing but itself, and return its path."""
    path = story.out / "report.html"
    path.write_text(_page(story), encoding="utf-8")
    return path


def _page(story: Story) -> str:
    total = sum(len(answers) for answers in story.acts.values())
    failed = sum(answer.status != 200 for answers in story.acts.values() for answer in answers)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Solar cells: a served model that survives</title><style>{STYLE}</style><main>
<h1>{total:,} photographs, {failed} failed requests</h1>
<p class="lead">Solar cells go in, defect decisions come out. One package holds the model with its featurize and predict functions.
While {len(story.acts)} acts were played, the main model was wedged and killed. The slowest answer came after
{max(answer.waited_ms for answers in story.acts.values() for answer in answers):.0f} ms; the deadline is {DEADLINE_MS} ms.</p>
<h2>Who answered</h2>{_acts(story)}
<h2>Held-out cells: its surest mistakes, then answers that were right</h2><div class="cells">{"".join(_figures(story))}</div>
<p><small>Images: ELPV dataset, CC BY-NC-SA 4.0 (Buerhop-Lutz et al. 2018; Deitsch et al. 2019). Do not publish this page.</small></p>
<h2>How good the models are</h2>{_intervals(story)}
<details><summary>All metrics</summary>{"".join(_text(name, quality) for name, quality in story.quality.items())}</details>
<h2>Does the compiled program behave like its source?</h2>{"".join(_text(name, report) for name, report in story.verified.items())}
<h2>How fast they are alone</h2>{"".join(_text(name, timings) for name, timings in story.timings.items())}
<h2>Receipts</h2><pre>{html.escape(chr(10).join(map(json.dumps, _receipts(story))))}</pre>
</main></html>"""


def _rows(story: Story) -> Iterable[tuple[str, tuple[int, int, float, float, str]]]:
    for name, answers in story.acts.items():
        waited = [answer.waited_ms for answer in answers]
        by = ", ".join(f"{model} {count}" for model, count in _shares(answers).items())
        failed = sum(answer.status != 200 for answer in answers)
        yield name, (len(answers), failed, float(np.percentile(waited, 50)), float(np.percentile(waited, 99)), by)


def _shares(answers: Sequence[Answer]) -> dict[str, int]:
    return dict(Counter(str(answer.receipt.get("model", "nobody")) for answer in answers).most_common())


def _acts(story: Story) -> str:
    rows: list[str] = []
    for name, (count, failed, middle, worst, _) in _rows(story):
        shares = _shares(story.acts[name])
        parts = (f'<i style="width:{100 * n / count:.1f}%;background:{COLOURS.get(m, "var(--bad)")}"></i>' for m, n in shares.items())
        rows.append(f'<tr><td>{name}</td><td><div class="bar">{"".join(parts)}</div></td><td class="n">{count}</td>'
                    f'<td class="n">{failed}</td><td class="n">{middle:.0f}</td><td class="n">{worst:.0f}</td></tr>')  # fmt: skip
    key = "".join(f'<span><b style="background:{colour}"></b>{name}</span>' for name, colour in COLOURS.items())
    head = "<tr><th>act</th><th>answered by</th><th>requests</th><th>failed</th><th>p50 ms</th><th>p99 ms</th></tr>"
    return f'<div class="key">{key}</div><div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _intervals(story: Story, metric: str = "balanced accuracy") -> str:
    """Balanced accuracy with its 95% interval, overall and per slice, main model beside backup; chance is the left edge."""
    bars: list[str] = []
    for name, quality in story.quality.items():
        groups = {f"all ({quality.rows})": quality.metrics}
        groups |= {f"{key} ({quality.quality.counts[key]})": held for key, held in sorted(quality.slices.items()) if held}
        for group, metrics in groups.items():
            bars.append(_interval(20 + 30 * len(bars), f"{name}, {group}", metrics[metric], COLOURS.get(name, "var(--ink)")))
    height = 34 + 30 * len(bars)
    ticks = "".join(f'<line class="grid" x1="{_x(v)}" x2="{_x(v)}" y1="6" y2="{height - 24}"/>'
                    f'<text class="tick" x="{_x(v)}" y="{height - 6}">{v:.1f}</text>' for v in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0))  # fmt: skip
    label = f"{metric} on held-out cells, 95% intervals"
    return (f'<p class="lead">{label[0].upper() + label[1:]}; 0.5 is chance.</p><div class="scroll"><svg viewBox="0 0 900 {height}" '
            f'role="img" aria-label="{label}">{ticks}{"".join(bars)}</svg></div>')  # fmt: skip


def _interval(y: int, text: str, estimate: Any, colour: str) -> str:
    low, value, high = (_x(v) for v in (estimate.low, estimate.value, estimate.high))
    return (f'<text x="0" y="{y + 5}">{html.escape(text)}</text><line x1="{low}" x2="{high}" y1="{y}" y2="{y}" stroke="{colour}" '
            f'stroke-width="5" stroke-linecap="round"/><circle cx="{value}" cy="{y}" r="6" fill="{colour}"/>')  # fmt: skip


def _x(value: float) -> float:
    """Pixels from the left for a balanced accuracy of 0.5 to 1."""
    return round(330 + 560 * (min(max(value, 0.5), 1.0) - 0.5) / 0.5, 1)


def _figures(story: Story, count: int = 12) -> Iterable[str]:
    """Six cells that the main model got wrong with most confidence, and six that it got right."""
    answers = story.acts["healthy"]
    rows = range(min(len(answers), len(story.test)))
    doubt = {row: abs(_defect(answers[row]) - 0.5) for row in rows if answers[row].status == 200}
    wrong = [row for row in doubt if _label(answers[row]) != story.test.labels[row]]
    right = [row for row in doubt if _label(answers[row]) == story.test.labels[row]]
    chosen = sorted(wrong, key=lambda row: -doubt[row])[: count // 2]
    chosen += [right[i] for i in np.linspace(0, len(right) - 1, count - len(chosen)).astype(int)] if right else []
    for row in chosen:
        picture = base64.b64encode(png(story.test.images[row])).decode()
        truth, said = LABELS[story.test.labels[row]], LABELS[_label(answers[row])]
        kind, mark = ("right", "&#10003;") if truth == said else ("wrong", "&#10007;")
        verdict = f'<span class="{kind}">{mark} {said}</span>, P(defect) {_defect(answers[row]):.2f}'
        yield (f'<figure><img alt="{truth} {story.test.types[row]} cell" src="data:image/png;base64,{picture}">'
               f"<figcaption>{verdict}<br><small>people say {truth} · {story.test.types[row]}</small></figcaption></figure>")  # fmt: skip


def _text(name: str, value: Any) -> str:
    return f"<h3>{name}</h3><pre>{html.escape(str(value))}</pre>"


def _receipts(story: Story) -> list[dict[str, Any]]:
    """One receipt for every pair of model and reason."""
    seen: dict[tuple[Any, Any], dict[str, Any]] = {}
    for answers in story.acts.values():
        for answer in answers:
            seen.setdefault((answer.receipt.get("model"), answer.receipt.get("reason")), answer.receipt)
    return list(seen.values())


def _label(answer: Answer) -> int:
    return LABELS.index(str(np.ravel(answer.body["outputs"]["label"])[0]))


def _defect(answer: Answer) -> float:
    return float(np.ravel(answer.body["outputs"]["defect"])[0])
