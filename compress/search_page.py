"""The page of a search: verdict, front, trials, ladder, audit of the chosen trial, lineage, the command. One file, no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..runtimes.audit_sections import Row, lineage
from ..runtimes.pictures import shown
from ..runtimes.report_page import document, grid, verdict
from .excess import excesses
from .findings import Findings
from .search_plot import losses, plot
from .trial_sections import KEYS, STYLE, audit_of, cells, columns, headline, notes
from .trials import Trial


def page(front: Findings) -> str:
    """The whole page."""
    chosen = front.best_trial or front.nearest
    state = {"within the budget": "passed", "not enough data": "not"}.get(front.outcome, "failed")
    body = [
        f"<style>{STYLE}</style>",
        f"<h1>{escape(front.name)} on {escape(front.target)}: <span class='verdict {state}'>{escape(front.verdict)}</span></h1>",
        f"<p>{_summary(front)}</p>", *notes(front.remarks),
        "<h2>Front</h2>", *(plot(front, width) for width in (380, 780)), KEYS, f"<h2>Trials: {len(front.trials)}</h2>", _trials(front),
    ]  # fmt: skip
    if front.rungs:
        body += [
            f"<h2>{_steps(front)}</h2>",
            "<p class=note>Attempts in order; each is made because of the verdict on the ones before.</p>",
            _ladder(front),
        ]
    if chosen is not None and chosen.comparison:
        mark = "best" if chosen is front.best_trial else "nearest miss"
        body += audit_of(chosen, mark, _rows(front))
    body += lineage(_known(front), front.command)
    return document(f"Search of {front.name}", body)


def _summary(front: Findings) -> str:
    limits = ", ".join(f"{escape(name)} &le; {held:g}" for name, held in front.budget.limits.items()) or "no limits"
    chosen, mark = (front.best_trial, "Best") if front.best_trial is not None else (front.nearest, "Nearest miss")
    lines = [f"Asked: {limits}. {len(front.trials)} trials, ended by {escape(front.ended)} after {front.seconds:.0f} s."]
    if chosen is not None:
        lines.append(f"<br>{mark}: {headline(chosen, losses(front))}")
    return "".join(lines)


def _trials(front: Findings) -> str:
    figures = columns(front.trials)
    rows = [_trial(front, trial, list(figures)) for trial in front.trials]
    return grid(("", "tried", *figures.values(), "loss", "verdict", "why not"), rows, "trials")


def _trial(front: Findings, trial: Trial, names: Sequence[str]) -> tuple[str, ...]:
    mark = "&#9654; best" if trial is front.best_trial else "&#9654; nearest" if trial is front.nearest else ""
    mark = mark or ("front" if any(trial is held for held in front.points) else "")
    why = trial.fault or "; ".join(str(held) for held in excesses(trial, front.budget))
    return (mark, escape(str(trial.settings)), *cells(trial, names), verdict(trial.verdict), escape(why))


def _steps(front: Findings) -> str:
    return "Structures, then the ladder" if any(front.trials[place].settings.structure for place, _ in front.rungs) else "Ladder"


def _ladder(front: Findings) -> str:
    rows = [(str(number), escape(str(front.trials[place].settings)), escape(why), verdict(front.trials[place].verdict),
             escape("; ".join(front.trials[place].reasons))) for number, (place, why) in enumerate(front.rungs, 1)]  # fmt: skip
    return grid(("", "rung", "why", "verdict", "found"), rows, "trials ladder")


def _rows(front: Findings) -> Row | None:
    maker = front.maker
    return None if maker is None else lambda row: shown(maker.package, maker.data, row)


def _known(front: Findings) -> dict[str, Any]:
    best = vars(front).get("best")  # made when it was asked for; a page makes none
    return {**front.lineage, **({"best": best.digest} if best is not None else {})}
