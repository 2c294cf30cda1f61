"""The page of a verification: one HTML file without scripts, with tables and inline SVG bars, light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .parity_page import side_by_side

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--paper:#fff;--line:#d9dee3;
--good:#1a7f45;--bad:#c03a2b;--wait:#9a6b00;--bar:#3b6fb6}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b1;--paper:#14171a;--line:#343b42;
--good:#4cc38a;--bad:#ff7b6b;--wait:#e2b341;--bar:#7aa7e8}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1240px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
code{font-size:.85em;color:var(--soft);word-break:break-all}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);border-bottom:2px solid var(--line);padding:.3rem .6rem .3rem 0;white-space:nowrap}
td{border-bottom:1px solid var(--line);padding:.3rem .6rem .3rem 0;vertical-align:top;white-space:nowrap}
@media(max-width:900px){table{font-size:13px}}
.passed{color:var(--good)}.failed{color:var(--bad)}.not{color:var(--wait)}.verdict{font-weight:600}.note{color:var(--soft)}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}
.refused,.unverified{color:var(--wait)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:1rem 2rem;margin:1rem 0}
figure{margin:0}figcaption{color:var(--soft);font-size:13px;margin-bottom:.2rem}
.bar,.dot{fill:var(--bar)}.hollow{fill:var(--paper);stroke:var(--bar);stroke-width:2}.frame{fill:none;stroke:var(--line)}
.whisker{stroke:var(--ink);fill:none}.grid{stroke:var(--line);fill:none}.limit{stroke:var(--bad);stroke-width:2;fill:none}
details{border-bottom:1px solid var(--line);padding:.4rem 0}summary{cursor:pointer;font-weight:600}
"""
_POLICY = """<meta http-equiv=Content-Security-Policy
content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'">"""
_LEGEND = """A flip is an answer that differs; a firm row is one whose decision survives every move within float tolerance,
so that a flip on it is a fault. An interval [low, high] is two-sided, exact (Clopper-Pearson) at 95%: where the rate may lie.
A rate with &le; is the one-sided 95% bound, which verdicts compare with their limit: it is lower than the upper end of the interval,
because all 5% lie on one side."""
_HEAD = ("output", "kind", "rows", "flips", "rate at most, 95%", "firm flips", "fragile rows", "largest", "mean", "measured", "limit",
         "verdict")  # fmt: skip


def page(report: Mapping[str, Any]) -> str:
    """The whole page for `Report.to_dict()`."""
    body = [f"<h1>{_text(report['name'])}: {verdict(report['verdict'])}</h1>", *_report(report), f"<p class=note>{_LEGEND}</p>"]
    return document(f"Verification of {report['name']}", body)


def pages(reports: Sequence[Mapping[str, Any]]) -> str:
    """One page for several packages: an overview, then each package folded."""
    passed = sum(report["verdict"] == "passed" for report in reports)
    rows = [_overview(report) for report in reports]
    body = [f"<h1>{passed} of {len(reports)} packages passed</h1>", grid(("package", "verdict", "targets"), rows)]
    for report in reports:
        body += [f"<details><summary>{_text(report['name'])}: {verdict(report['verdict'])}</summary>", *_report(report), "</details>"]
    return document("Verification", [*body, f"<p class=note>{_LEGEND}</p>"])


def _overview(report: Mapping[str, Any]) -> tuple[str, ...]:
    targets = [f"{_text(target['target'])} {verdict(target['outcome'])}" for target in report["targets"]]
    return (_text(report["name"]), verdict(report["verdict"]), " &middot; ".join(targets))


def _report(report: Mapping[str, Any]) -> list[str]:
    absent = [f"{_text(name)} was not asked: {_text(why.rstrip('.'))}." for name, why in report["absent"].items()]
    return [
        f"<p><code>{_text(report['package'])}</code></p>", side_by_side(report["targets"]),
        *(f"<p class=note>{line}</p>" for line in absent), *(_target(target) for target in report["targets"]),
    ]  # fmt: skip


def document(title: str, body: Sequence[str]) -> str:
    """A self-contained HTML document in the project's style. It runs and loads nothing, whatever the texts in it hold."""
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return f"{head}{_POLICY}<title>{_text(title)}</title>" + f"<style>{_STYLE}</style><body>" + "\n".join(body) + "</body></html>\n"


def verdict(text: str) -> str:
    """The verdict, coloured."""
    return f"<span class='verdict {_text(text.partition(' ')[0])}'>{_text(text)}</span>"


def _target(target: Mapping[str, Any]) -> str:
    parts = [f"<h2>{_text(target['target'])}{' (lossy)' if target['lossy'] else ''}: {verdict(target['outcome'])}</h2>"]
    if target["refused"]:
        return parts[0] + f"<p>{_text(target['refused'])}</p>"
    parts += [f"<p class=note>{_text(note)}</p>" for note in target["notes"]]
    if target.get("unproven"):
        return "\n".join(parts)
    for title, key in (("Golden rows of the contract", "golden"), ("Held-out rows", "held_out")):
        if target[key]:
            parts.append(_fidelity(title, target[key]))
    if target["quality"]:
        parts.append(quality(target["quality"]))
    return "\n".join(parts)


def _fidelity(title: str, found: Mapping[str, Any]) -> str:
    parts = [f"<h3>{title}: {found['rows']}</h3>"]
    if found["fault"]:
        parts.append(f"<p class=failed>{_text(found['fault'])}</p>")
    parts.append(grid(_HEAD, [_output(check) for check in found["outputs"]]))
    worst = [(check["output"], check["worst"]) for check in found["outputs"] if check["worst"]]
    if worst:
        rows = [_example(name, held) for name, held in worst]
        parts.append("<h3>Worst examples</h3>" + grid(("output", "where", "chosen for", "reference", "got", "difference"), rows))
    bars = {f"{check['output']} · {key}": held for check in found["outputs"] for key, held in check["judgement"]["slices"].items()}
    return "\n".join(parts) + (_slices(bars) if bars else "")


def _slices(bars: Mapping[str, Mapping[str, Any]]) -> str:
    """Flips per slice; folded where nothing flipped anywhere."""
    plot = _bars("Flips per slice", bars)
    return plot if any(held["value"] for held in bars.values()) else f"<details><summary>Flips per slice: none</summary>{plot}</details>"


def _example(output: str, held: Mapping[str, Any]) -> tuple[str, ...]:
    return (_text(output), f"case {held['case']}, row {held['row']}", *(_text(held[key]) for key in ("why", "reference", "got", "off")))


def _output(check: Mapping[str, Any]) -> tuple[str, ...]:
    found = check["judgement"]
    note = f"<br><span class=note>{_text(found['note'])}</span>" if found["note"] else ""
    figures = [_number(found[key]) for key in ("max_abs", "mean_abs", "measured", "limit")]
    return (_text(check["output"]) + note, found["kind"], str(found["rows"]), str(found["flips"]), f"&le; {_number(found['upper_bound'])}",
            str(found["firm_flips"]), str(found["fragile_rows"]), *figures, verdict(found["verdict"]))  # fmt: skip


def quality(found: Mapping[str, Any]) -> str:
    """Metrics overall and per slice (of `Quality.to_dict()`), with bars of the primary one."""
    names = list(found["metrics"])
    rows = [("all", *(_estimate(found["metrics"][name]) for name in names))]
    for key, metrics in found["slices"].items():
        rows.append((f"{_text(key)} ({found['rows'][key]})", *_metric_cells(metrics, names)))
    bars = {key: held[found["primary"]] for key, held in found["slices"].items() if not isinstance(held, str)}
    plot = _bars(f"{found['primary']} per slice, worst first", {"all": found["metrics"][found["primary"]], **bars}) if bars else ""
    return "<h3>Quality</h3>" + grid(("slice", *names), rows) + plot


def comparison(found: Mapping[str, Any]) -> str:
    """The paired differences of an `Evaluation.to_dict()` to another package."""
    primary, small = found["quality"]["primary"], found["slice_difference"]
    rows = [(_text(key), _estimate(held)) for key, held in found["difference"].items()]
    rows += [(f"{_text(primary)}, {_text(key)}", held if isinstance(held, str) else _estimate(held)) for key, held in small.items()]
    rows.append(("answers that differ", _estimate(found["flips"])))
    return f"<h3>Difference to <code>{_text(found['against'])}</code></h3>" + grid(("metric", "this minus the other, paired"), rows)


def _metric_cells(metrics: Any, names: Sequence[str]) -> list[str]:
    if isinstance(metrics, str):
        return [metrics] + [""] * (len(names) - 1)
    return [_estimate(metrics[name]) if name in metrics else "-" for name in names]


def _bars(title: str, estimates: Mapping[str, Mapping[str, Any]]) -> str:
    """One bar per estimate with its interval as a whisker, as inline SVG."""
    ends = [held["high"] if held["high"] is not None else held["value"] for held in estimates.values()]
    top = max([end for end in ends if end is not None] + [1e-9])
    lines: list[str] = []
    for place, (name, held) in enumerate(estimates.items()):
        y, value = 24 * place + 4, held["value"] or 0.0
        low, high = (held[key] if held[key] is not None else value for key in ("low", "high"))
        x0, x1, x2 = (250 + 420 * max(part, 0.0) / top for part in (low, value, high))
        lines.append(
            f"<text x=244 y={y + 13} text-anchor=end>{_text(name[:40])}</text>"
            f"<rect x=250 y={y} width={max(x1 - 250, 0.5):.1f} height=16 fill='var(--bar)' opacity=.75 />"
            f"<path d='M{x0:.1f} {y + 8}H{x2:.1f}M{x0:.1f} {y + 3}v10M{x2:.1f} {y + 3}v10' stroke='var(--ink)' fill=none />"
            f"<text class=soft x=684 y={y + 13}>{_number(value)} ({held['rows']} rows)</text>"
        )
    height = 24 * len(estimates) + 8
    return f"<h3>{_text(title)}</h3><svg viewBox='0 0 860 {height}' width=100% role=img aria-label='{_text(title)}'>{''.join(lines)}</svg>"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls where it is too wide. Cells are HTML already; heads are text; `kind` is its class."""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table class='{kind}'><tr>{top}</tr>{lines}</table></div>"


def _estimate(held: Mapping[str, Any]) -> str:
    if held["value"] is None:
        return "no figure"
    low, high = (_number(held[key]) if held[key] is not None else "?" for key in ("low", "high"))
    return f"{_number(held['value'])} <span class=note>[{low}, {high}]</span>"


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return _text(str(value))
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def _text(value: str) -> str:
    return escape(value, quote=True)
