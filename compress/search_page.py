"""The page of a search: verdict, front, trials, ladder, audit of the chosen trial, lineage, the command. One file, no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import inf
from typing import Any

from ..runtimes.audit_sections import STYLE, Row, compared, expectation_table, gate_table, lineage
from ..runtimes.parity import figure
from ..runtimes.pictures import shown
from ..runtimes.report_page import document, grid, verdict
from .excess import excesses
from .findings import Findings
from .ranking import COST, priced
from .search_plot import losses, plot
from .trials import Trial

_STYLE = """
.front{fill:var(--bar);opacity:.9}.beaten{fill:var(--bar);opacity:.3}.miss{stroke:var(--bad);stroke-width:1.5;fill:none}
.ring{fill:none;stroke:var(--good);stroke-width:2}.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:var(--bar)}
.key.beaten{opacity:.3}.key.ring{background:none;border:2px solid var(--good)}
.key.cross{background:none;color:var(--bad);width:auto;height:auto}
.trials td:nth-child(2){white-space:normal;min-width:12rem}
.trials td:last-child,.ladder td:nth-child(3){white-space:normal;min-width:14rem}
"""
_KEYS = ("<p class=note><span class=key></span> front &ensp; <span class='key beaten'></span> beaten by another &ensp; "
         "<span class='key cross'>&times;</span> may not be shipped &ensp; <span class='key ring'></span> chosen &ensp; "
         "area: size of the file; dashed: limits of the budget.</p>")  # fmt: skip
_FIGURES = {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "ratio": "of float", "size_mb": "size MB", "memory_mb": "memory MB",
            COST: "cost per 1k"}  # fmt: skip


def page(front: Findings) -> str:
    """The whole page."""
    chosen = front.best_trial or front.nearest
    state = {"within the budget": "passed", "not enough data": "not"}.get(front.outcome, "failed")
    body = [
        f"<style>{STYLE}{_STYLE}</style>",
        f"<h1>{escape(front.name)} on {escape(front.target)}: <span class='verdict {state}'>{escape(front.verdict)}</span></h1>",
        f"<p>{_summary(front)}</p>", *(f"<p class=note>{escape(remark)}.</p>" for remark in front.remarks),
        "<h2>Front</h2>", *(plot(front, width) for width in (380, 780)), _KEYS, f"<h2>Trials: {len(front.trials)}</h2>", _trials(front),
    ]  # fmt: skip
    if front.rungs:
        body += [
            f"<h2>{_steps(front)}</h2>",
            "<p class=note>Attempts in order; each is made because of the verdict on the ones before.</p>",
            _ladder(front),
        ]
    if chosen is not None and chosen.comparison:
        mark = "best" if chosen is front.best_trial else "nearest miss"
        gates = [gate.to_dict() for gate in chosen.gates]
        body += [f"<h2>Audit of the {mark}: {escape(str(chosen.settings))}</h2>", _nodes(chosen)]
        body += ["<h3>Gates</h3>", gate_table(gates)] if gates else []
        body += ["<h3>Expectations</h3>", expectation_table(expected)] if (expected := chosen.comparison.get("expectations")) else []
        body += compared(chosen.comparison, _rows(front), gates)
    body += lineage(_known(front), front.command)
    return document(f"Search of {front.name}", body)


def _summary(front: Findings) -> str:
    limits = ", ".join(f"{escape(name)} &le; {held:g}" for name, held in front.budget.limits.items()) or "no limits"
    chosen, mark = (front.best_trial, "Best") if front.best_trial is not None else (front.nearest, "Nearest miss")
    lines = [f"Asked: {limits}. {len(front.trials)} trials, ended by {escape(front.ended)} after {front.seconds:.0f} s."]
    if chosen is not None:
        held = chosen.figures
        lines.append(
            f"<br>{mark}: <b>{chosen.settings}</b>, p95 {figure(held['p95_ms'])} ms, {held['ratio']:.2f}x of float, "
            f"{figure(held['size_mb'])} MB, {held['size_ratio']:.2f}x;{_cost(chosen)} {escape(losses(front))}: {_loss(chosen)}."
        )
    return "".join(lines)


def _cost(trial: Trial) -> str:
    return f" {figure(trial.figures[COST])} per thousand predictions;" if COST in trial.figures else ""


def _trials(front: Findings) -> str:
    figures = {name: words for name, words in _FIGURES.items() if name != COST or priced(front.trials)}
    rows = [_trial(front, trial, list(figures)) for trial in front.trials]
    return grid(("", "tried", *figures.values(), "loss", "verdict", "why not"), rows, "trials")


def _trial(front: Findings, trial: Trial, names: Sequence[str]) -> tuple[str, ...]:
    mark = "&#9654; best" if trial is front.best_trial else "&#9654; nearest" if trial is front.nearest else ""
    mark = mark or ("front" if any(trial is held for held in front.points) else "")
    held = [figure(trial.figures[name]) if name in trial.figures else "-" for name in names]
    why = trial.fault or "; ".join(str(held) for held in excesses(trial, front.budget))
    return (mark, escape(str(trial.settings)), *held, _loss(trial), verdict(trial.verdict), escape(why))


def _steps(front: Findings) -> str:
    return "Structures, then the ladder" if any(front.trials[place].settings.structure for place, _ in front.rungs) else "Ladder"


def _ladder(front: Findings) -> str:
    rows = [(str(number), escape(str(front.trials[place].settings)), escape(why), verdict(front.trials[place].verdict),
             escape("; ".join(front.trials[place].reasons))) for number, (place, why) in enumerate(front.rungs, 1)]  # fmt: skip
    return grid(("", "rung", "why", "verdict", "found"), rows, "trials ladder")


def _nodes(trial: Trial) -> str:
    made = ", ".join(f"{count} nodes {escape(name)}" for name, count in trial.achieved.items())
    weights = ", ".join(f"{escape(name)} {_size(size)}" for name, size in trial.weights_bytes.items())
    lines = [f"<p>{'; '.join(filter(None, (made, f'weights: {weights}' if weights else '')))}</p>"] if made or weights else []
    if trial.kept:
        kept = grid(("node", "why it stayed float32"), [(escape(name), escape(why)) for name, why in trial.kept.items()])
        lines.append(f"<details><summary>{len(trial.kept)} nodes stayed float32</summary>{kept}</details>")
    return "".join(lines)


def _rows(front: Findings) -> Row | None:
    maker = front.maker
    return None if maker is None else lambda row: shown(maker.package, maker.data, row)


def _known(front: Findings) -> dict[str, Any]:
    best = vars(front).get("best")  # made when it was asked for; a page makes none
    return {**front.lineage, **({"best": best.digest} if best is not None else {})}


def _loss(trial: Trial) -> str:
    return "-" if trial.loss == inf else f"{trial.loss:.4g}"


def _size(count: int) -> str:
    return f"{figure(count / 1e6)} MB" if count >= 1e5 else f"{count / 1e3:.3g} kB"
