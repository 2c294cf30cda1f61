"""What was lost, as sections of a page: gates, expectations, paired intervals, slices, flipped rows, numbers that moved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any, TypeAlias

from .interval_plot import STYLE as PLOT_STYLE
from .interval_plot import Interval, plots
from .report_page import grid, verdict

Row: TypeAlias = Callable[[int], str]
"""A row of the data as HTML."""
Found: TypeAlias = Mapping[str, Any]
"""`Audit.to_dict()`, or the comparison that a trial keeps."""
SLICES, EXAMPLES = 12, 20
NAMES: Mapping[str, str] = {"ece": "calibration (ece)", "mae": "mean absolute error (mae)", "auc": "area under the ROC (auc)"}
_READ = """<p class=note>Drops are paired on the same rows, with their 95% interval; positive is worse, also for errors. Where there is a
limit (dashed), green intervals are below it, amber ones reach over it, red ones are beyond it.</p>"""
STYLE = (
    PLOT_STYLE
    + """
.says td:first-child{white-space:normal;min-width:8rem}
.lineage td{white-space:normal;min-width:13rem}.lineage td:first-child{min-width:6rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:.6rem;margin:.6rem 0}
.card{border:1px solid var(--line);border-radius:6px;padding:.5rem;font-size:13px;line-height:1.4;overflow-wrap:anywhere}
.card img{width:72px;image-rendering:pixelated;display:block;margin-bottom:.3rem}.card b{font-weight:600}
pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--line);padding:.6rem;font-size:13px}
"""
)


def compared(found: Found, row: Row | None, gates: Sequence[Found] = ()) -> list[str]:
    """Notes, metrics with paired intervals, the worst slices, flipped rows, and what moved; `gates` put their limits into the plots."""
    limits = {gate["name"]: gate["limit"] for gate in gates}
    parts = [f"<p class=note>{escape(note)}.</p>" for note in found.get("notes", ())]
    parts += _changes(found, limits.get("max_drop")) + _slices(found, limits.get("max_slice_drop"))
    for flips in found.get("flips", ()):
        parts += _flips(flips, row)
    if found.get("drifts"):
        rows = [(escape(drift["output"]), escape(drift["kind"]), _figures(drift), escape(str(drift["infinite"])))
                for drift in found["drifts"]]  # fmt: skip
        parts += ["<h3>Numbers that moved</h3>", grid(("output", "kind", "by", "infinitely far"), rows)]
        parts += [_moved(drift, row, folded=bool(found.get("flips"))) for drift in found["drifts"] if drift.get("examples")]
    return parts


def gate_table(gates: Sequence[Found]) -> str:
    """Gates (`Gate.to_dict()` each): the limit, the end of the interval that was held against it, the verdict."""
    rows = [(_said(gate["name"], gate), verdict(gate["verdict"]), f"{gate['limit']:g}", _bound(gate["measured"]),
             escape(str(gate["rows"] or "-"))) for gate in gates]  # fmt: skip
    return grid(("gate", "verdict", "limit", "95% bound", "rows"), rows, "says")


def expectation_table(found: Sequence[Found]) -> str:
    """Expectations (`Outcome.to_dict()` each), on the subject and on its ancestor."""
    rows = [(_said(held["name"], held["gate"]), verdict(held["gate"]["verdict"]), f"{held['gate']['limit']:g}", _estimate(held["subject"]),
             _estimate(held["ancestor"])) for held in found]  # fmt: skip
    return grid(("expectation", "verdict", "limit", "against it here", "in the ancestor"), rows, "says")


def lineage(known: Mapping[str, Any], command: str) -> list[str]:
    """What went in, and the line that makes it again."""
    rows = [(escape(name), f"<code>{escape(held if isinstance(held, str) else json.dumps(held))}</code>")
            for name, held in known.items() if held not in (None, {}, [], "")]  # fmt: skip
    return ["<h2>Lineage</h2>", grid(("", ""), rows, "lineage"), "<h2>Again</h2>", f"<pre>{escape(command)}</pre>"]


def _changes(found: Found, limit: float | None) -> list[str]:
    changes = found.get("changes") or {}
    if not changes:
        return []
    rows = [(escape(_name(name)), *_change(change)) for name, change in changes.items()]
    spans = [_interval(_name(name), change["drop"], limit if place == 0 else None)
             for place, (name, change) in enumerate(changes.items())]  # fmt: skip
    return ["<h3>Metrics</h3>", _READ, plots("Drop of each metric", [held for held in spans if held]),
            grid(("metric", "before", "after", "drop, paired 95%"), rows)]  # fmt: skip


def _slices(found: Found, limit: float | None) -> list[str]:
    if not found.get("changes") or not found.get("slices"):
        return []
    primary, counts = next(iter(found["changes"])), found["counts"]
    held = {key: change[primary] if isinstance(change, Mapping) else None for key, change in found["slices"].items()}
    spans = [_interval(key, change["drop"], limit) for key, change in list(held.items())[:SLICES] if change]
    rows = [(escape(key), escape(str(counts[key])), *(_change(change) if change else ("not enough data", "", "")))
            for key, change in held.items()]  # fmt: skip
    head = ("slice", "rows", "before", "after", "drop, paired 95%")
    more = f"<details><summary>{len(rows) - SLICES} more slices</summary>{grid(head, rows[SLICES:])}</details>" if rows[SLICES:] else ""
    title = f"Slices by drop of {primary}, worst first"
    return [f"<h3>{escape(title)}</h3>", plots(title, [span for span in spans if span]), grid(head, rows[:SLICES]), more]


def _flips(flips: Found, row: Row | None) -> list[str]:
    rate = flips["rate"]
    broken = f"; {flips['broken']:d} of them are rows with NaN" if flips["broken"] else ""
    parts = [f"<h3>{escape(flips['output'])}: {flips['count']:d} of {rate['rows']:d} decisions differ</h3>",
             f"<p class=note>At most {100 * flips['upper_bound']:.3g}% by the one-sided 95% bound{broken}.</p>"]  # fmt: skip
    shares = [(escape(key), _estimate(held)) for key, held in list(flips["slices"].items())[:SLICES] if held["value"]]
    if shares:
        parts.append(f"<details><summary>Share per slice, worst first</summary>{grid(('slice', 'share, 95%'), shares)}</details>")
    examples = flips["examples"][:EXAMPLES]
    if examples:
        left = flips["count"] - len(examples)
        parts.append(f"<div class=cards>{''.join(_card(held, row) for held in examples)}</div>")
        parts.append(f"<p class=note>Rows with a label first, and of these the ones that were right{f'; {left} more' if left else ''}.</p>")
    return parts


def _moved(drift: Found, row: Row | None, folded: bool) -> str:
    """The rows that moved most; folded where decisions are what matters."""
    cards = [_framed(held, row, [f"{side}: <b>{escape(held[side])}</b>" for side in ("before", "after")] + [_far(drift["kind"], held)])
             for held in drift["examples"][:EXAMPLES]]  # fmt: skip
    title = f"{escape(drift['output'])}: the {len(cards)} rows that moved most" if len(cards) > 1 else f"{escape(drift['output'])}: one row"
    return f"<details{'' if folded else ' open'}><summary>{title}</summary><div class=cards>{''.join(cards)}</div></details>"


def _far(kind: str, held: Found) -> str:
    distance = held["distance"]
    if distance is None:
        return "<b class=failed>infinitely far</b>"
    return f"<span class=note>{f'cosine {1 - distance:.4g}' if kind == 'embedding' else f'moved by {distance:.4g}'}</span>"


def _card(held: Found, row: Row | None) -> str:
    label = held["label"]
    return _framed(held, row, [f"{side}: <b class={_right(held[side], label)}>{escape(held[side])}</b>{_score(held, side)}"
                               for side in ("before", "after")])  # fmt: skip


def _framed(held: Found, row: Row | None, answers: Sequence[str]) -> str:
    """A row as a card: what it is, its label, both answers, its slices."""
    label = held["label"]
    where = ", ".join(f"{name}={group}" for name, group in held["slices"].items())
    lines = [f"row {escape(str(held['row']))}", *([f"label: <b>{escape(label)}</b>"] if label is not None else []), *answers]
    lines += [f"<span class=note>{escape(where)}</span>"] if where else []
    return f"<div class=card>{row(held['row']) if row else ''}<div>{'<br>'.join(lines)}</div></div>"


def _right(answer: str, label: str | None) -> str:
    return "none" if label is None else "passed" if answer == label else "failed"


def _score(held: Found, side: str) -> str:
    score = held[f"{side}_score"]
    return "" if score is None else f" <span class=note>{escape(score)}</span>"


def _said(name: str, gate: Found) -> str:
    """What was asked, and under it where it was decided and why."""
    said = "; ".join(filter(None, (gate["where"], gate["note"])))
    return escape(name) + (f"<br><span class=note>{escape(said)}</span>" if said else "")


def _interval(label: str, drop: Found, limit: float | None) -> Interval | None:
    value, low, high = (drop[key] for key in ("value", "low", "high"))
    return None if value is None or low is None or high is None else Interval(label, value, low, high, limit)


def _name(metric: str) -> str:
    return NAMES.get(metric, metric)


def _change(held: Found) -> tuple[str, str, str]:
    return _estimate(held["before"]), _estimate(held["after"]), _estimate(held["drop"])


def _estimate(held: Found) -> str:
    """A figure with its interval."""
    low, high = (_number(held[key]) for key in ("low", "high"))
    return f"{_number(held['value'])} <span class=note>[{low}, {high}]</span>"


def _figures(drift: Found) -> str:
    return ", ".join(f"{escape(name)} {_number(held)}" for name, held in drift["figures"].items()) or "-"


def _bound(measured: float | str | None) -> str:
    return "-" if measured is None else f"{float(measured):.4g}"


def _number(value: float | None) -> str:
    return f"{value:.4g}" if value is not None and isfinite(value) else "none"
