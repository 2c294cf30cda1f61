"""What the pages of a search and of a ladder share: figures of trials in columns, what a trial is in a line, its audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import inf

from ..runtimes.audit_sections import STYLE as AUDIT_STYLE
from ..runtimes.audit_sections import Row, compared, expectation_table, gate_table
from ..runtimes.parity import figure
from ..runtimes.report_page import grid
from .ranking import COST, priced
from .trials import Trial

STYLE = (
    AUDIT_STYLE
    + """
.front{fill:var(--bar);opacity:.9}.beaten{fill:var(--bar);opacity:.3}.miss{stroke:var(--bad);stroke-width:1.5;fill:none}
.ring{fill:none;stroke:var(--good);stroke-width:2}.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:var(--bar)}
.key.beaten{opacity:.3}.key.ring{background:none;border:2px solid var(--good)}
.key.cross{background:none;color:var(--bad);width:auto;height:auto}
.trials td:nth-child(2){white-space:normal;min-width:12rem}
.trials td:last-child,.ladder td:nth-child(3){white-space:normal;min-width:14rem}
.kept td{white-space:normal;overflow-wrap:anywhere;min-width:8rem}
"""
)
KEYS = ("<p class=note><span class=key></span> front &ensp; <span class='key beaten'></span> beaten by another &ensp; "
        "<span class='key cross'>&times;</span> may not be shipped &ensp; <span class='key ring'></span> chosen &ensp; "
        "area: size of the file; dashed: limits of the budget.</p>")  # fmt: skip
FIGURES: Mapping[str, str] = {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "ratio": "of float", "size_mb": "size MB", "memory_mb": "memory MB",
                              COST: "cost per 1k"}  # fmt: skip


def columns(trials: Iterable[Trial]) -> dict[str, str]:
    """Figures with the heads of their columns; that of the cost where there is a price."""
    with_price = priced(trials)
    return {name: words for name, words in FIGURES.items() if name != COST or with_price}


def cells(trial: Trial, names: Iterable[str]) -> tuple[str, ...]:
    """Figures of a trial as cells, and its loss behind them."""
    return (*(figure(trial.figures[name]) if name in trial.figures else "-" for name in names), loss_of(trial))


def loss_of(trial: Trial) -> str:
    """The loss as text."""
    return "-" if trial.loss == inf else f"{trial.loss:.4g}"


def headline(trial: Trial, losses: str) -> str:
    """Settings, latency, bytes, cost and loss in a line; `losses` says what the loss is."""
    held = trial.figures
    if not held:
        return f"<b>{escape(str(trial.settings))}</b>: no figures."
    cost = f" {figure(held[COST])} per thousand predictions;" if COST in held else ""
    return (f"<b>{escape(str(trial.settings))}</b>, p95 {figure(held['p95_ms'])} ms, {held['ratio']:.2f}x of float, "
            f"{figure(held['size_mb'])} MB, {held['size_ratio']:.2f}x;{cost} {escape(losses)}: {loss_of(trial)}.")  # fmt: skip


def audit_of(trial: Trial, mark: str, row: Row | None, folded: bool = True) -> list[str]:
    """What was lowered and what stayed, gates, expectations, and what was lost; `mark` is what the trial is called."""
    gates = [gate.to_dict() for gate in trial.gates]
    body = [f"<h2>Audit of the {mark}: {escape(str(trial.settings))}</h2>", nodes(trial, folded)]
    body += ["<h3>Gates</h3>", gate_table(gates)] if gates else []
    body += ["<h3>Expectations</h3>", expectation_table(expected)] if (expected := trial.comparison.get("expectations")) else []
    return body + compared(trial.comparison, row, gates)


def nodes(trial: Trial, folded: bool = True) -> str:
    """Nodes by class, bytes of weights by dtype, and the nodes that stayed float32 with the reasons."""
    made = ", ".join(f"{escape(str(count))} nodes {escape(name)}" for name, count in trial.achieved.items())
    weights = ", ".join(f"{escape(name)} {_size(size)}" for name, size in trial.weights_bytes.items())
    lines = [f"<p>{'; '.join(filter(None, (made, f'weights: {weights}' if weights else '')))}</p>"] if made or weights else []
    if trial.kept:
        kept = grid(("node", "why it stayed float32"), [(escape(name), escape(why)) for name, why in trial.kept.items()], "kept")
        words = "1 node" if len(trial.kept) == 1 else f"{len(trial.kept)} nodes"
        lines.append(f"<details{'' if folded else ' open'}><summary>{words} stayed float32</summary>{kept}</details>")
    return "".join(lines)


def notes(remarks: Sequence[str]) -> list[str]:
    """Remarks as paragraphs."""
    return [f"<p class=note>{escape(remark)}.</p>" for remark in remarks]


def _size(count: int) -> str:
    return f"{figure(count / 1e6)} MB" if count >= 1e5 else f"{count / 1e3:.3g} kB"
