"""The page of a ladder: verdict, rungs with their reasons and figures, what stayed float and why, audit of the chosen one, lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

from ..runtimes.audit_sections import Row, lineage
from ..runtimes.report_page import document, grid, verdict
from ..sdk.core.budget import Budget
from .findings import Findings
from .search_plot import losses, plot
from .settings import Settings
from .trial_sections import KEYS, STYLE, audit_of, cells, columns, headline, notes
from .trials import Trial

_READ = """<p class=note>Attempts in order; each is made because of the verdict on the ones before. The first that holds is chosen: answers
and gates hold on the held-out rows, it is smaller or faster than float, and neither slower nor larger.</p>"""
_STYLE = """
.rungs td:nth-child(2){white-space:normal;min-width:13rem}.rungs ul{margin:.2rem 0;padding-left:1.2rem;color:var(--soft)}
.rungs b{font-weight:600}
"""


@dataclass(frozen=True)
class Climbed(Findings):
    """A ladder's rungs as findings, of which the ladder chose one itself.

    Attributes:
        place: of the chosen rung in `trials`.
    """

    MARK: ClassVar[str] = "chosen"
    place: int = 0

    @property
    def best_trial(self) -> Trial:
        """The rung that the ladder chose."""
        return self.trials[self.place]

    @classmethod
    def of(cls, name: str, found: Mapping[str, Any], known: Mapping[str, Any], command: str) -> Climbed:
        """Parse what a climb is as data.

        Args:
            name: of the package.
            found: `Climb.to_dict()`.
            known: lineage, see `Findings`.
            command: that makes it again.
        """
        trials = tuple(Trial.from_dict({key: held for key, held in rung.items() if key != "why"}) for rung in found["rungs"])
        chosen = Settings.from_dict(found["chosen"])
        place = max((place for place, trial in enumerate(trials) if trial.settings == chosen), default=len(trials) - 1)
        target = next((str(trial.comparison["target"]) for trial in trials if "target" in trial.comparison), "its target")
        rungs = tuple((place, str(rung["why"])) for place, rung in enumerate(found["rungs"]))
        gates = Budget(**{gate.name: gate.limit for gate in trials[place].gates})
        return cls(name, target, gates, trials, rungs, tuple(found["remarks"]), lineage=known, command=command, place=place)


def page(climb: Climbed, row: Row | None) -> str:
    """The whole page; `row` shows a row of the held-out data, None: they are not at hand."""
    chosen, state = climb.best_trial, _state(climb)
    stayed = {f"{name} stayed float32: {why}" for name, why in chosen.kept.items()}  # these have a table of their own
    body = [
        f"<style>{STYLE}{_STYLE}</style>",
        f"<h1>{escape(climb.name)} on {escape(climb.target)}: <span class='verdict {state}'>{escape(_said(climb))}</span></h1>",
        f"<p>{_summary(climb)}</p>", *notes([remark for remark in climb.remarks if remark not in stayed]),
        f"<h2>Ladder: {len(climb.trials)} {'rung' if len(climb.trials) == 1 else 'rungs'}</h2>", _READ, _rungs(climb),
    ]  # fmt: skip
    if len([trial for trial in climb.trials if trial.figures]) > 1:
        body += ["<h2>What they cost and lose</h2>", *(plot(climb, width) for width in (380, 780)), KEYS]
    body += audit_of(chosen, "chosen rung", row, folded=len(chosen.kept) > 8) if chosen.comparison else []
    return document(f"Ladder of {climb.name}", [*body, *lineage(climb.lineage, climb.command)])


def _state(climb: Climbed) -> str:
    """The class of the verdict's colour."""
    if climb.best_trial.passed and not climb.best_trial.settings.as_it_was:
        return "passed"
    return "not" if any(trial.verdict == "not enough data" for trial in climb.trials) else "failed"


def _said(climb: Climbed) -> str:
    chosen = climb.best_trial
    if chosen.settings.as_it_was:
        return {"not": "the rows are too few to tell"}.get(_state(climb), "nothing lower than float32 holds")
    return str(chosen.settings) if chosen.passed else f"{chosen.settings}: {chosen.verdict}"


def _summary(climb: Climbed) -> str:
    limits = ", ".join(f"{escape(name)} &le; {held:g}" for name, held in climb.budget.limits.items())
    rows = climb.best_trial.comparison.get("rows")
    judged = f", judged on {escape(str(rows))} rows" if rows else ""
    return f"Asked: the contract{', ' + limits if limits else ''}{judged}.<br>Chosen: {headline(climb.best_trial, losses(climb))}"


def _rungs(climb: Climbed) -> str:
    figures = columns(climb.trials)
    rows = [(f"{'&#9654; ' if place == climb.place else ''}{number}", _rung(climb.trials[place], why), verdict(climb.trials[place].verdict),
             *cells(climb.trials[place], figures)) for number, (place, why) in enumerate(climb.rungs, 1)]  # fmt: skip
    return grid(("", "rung", "verdict", *figures.values(), "loss"), rows, "rungs")


def _rung(trial: Trial, why: str) -> str:
    """What was tried, why, and under it what was found against it; in one cell, so that a phone shows it beside the verdict."""
    found = f"<ul>{''.join(f'<li>{escape(reason)}</li>' for reason in trial.reasons)}</ul>" if trial.reasons else ""
    return f"<b>{escape(str(trial.settings))}</b><br><span class=note>{escape(why)}</span>{found}"
