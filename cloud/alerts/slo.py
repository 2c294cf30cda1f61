"""Service level objectives: error budgets, and burn rates over two windows at once.

After "Alerting on SLOs" in The Site Reliability Workbook (Beyer et al., O'Reilly 2018, chapter 5, table 5-8): a long window says that
enough of the budget is gone, a short one that it still burns, so that an alert comes soon, and ends soon after the trouble. The
workbook's burn rates follow from the share of the budget that may go within a window: 2% in an hour of 30 days is a rate of 14.4.

A few bad answers in little traffic are no burn: a rate counts when its lower confidence bound is beyond the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

from ...sdk.core.statistics import lower_bound, wilson
from ..monitor import Finding, Severity, Verdict

HOUR_S = 3600.0
CONFIDENCE = 0.95
EXACT = 2000
"""Bad answers up to which the bound is exact (Clopper-Pearson), Wilson's beyond."""
MOST = 0.9
"""A limit on a share of bad answers is at most this: where the budget is a large share, a burn rate would ask for more than all."""


@dataclass(frozen=True)
class Counts:
    """Answers within a span."""

    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        """Both."""
        return self.good + self.bad


@dataclass(frozen=True)
class Objective:
    """Such as 99.9% available. `share`: of answers that are to be good, below 1; `period_s`: over which the budget is given."""

    name: str
    share: float
    period_s: float = 30 * 24 * HOUR_S

    @property
    def budget(self) -> float:
        """The share of answers that may be bad."""
        return 1.0 - self.share


@dataclass(frozen=True)
class Burn:
    """`spent`: the share of the budget that goes within `long_s`; `short_s`: the window in which it must still burn."""

    spent: float
    long_s: float
    short_s: float
    severity: Severity

    def rate(self, objective: Objective) -> float:
        """How many times faster than allowed: 1 spends the budget exactly at the end of the period."""
        return self.spent * objective.period_s / self.long_s


BURNS = (
    Burn(0.02, HOUR_S, HOUR_S / 12, "critical"),
    Burn(0.05, 6 * HOUR_S, HOUR_S / 2, "critical"),
    Burn(0.10, 72 * HOUR_S, 6 * HOUR_S, "warning"),
)
"""The workbook's recommendation: two that wake somebody, one for a ticket."""
CountsOf = Callable[[float], Counts]
"""Counts of the last so many seconds."""


def burning(objective: Objective, counts_of: CountsOf, burn: Burn) -> Finding:
    """Whether the budget burns at this rate; its subject is "availability over 1h"."""
    long, short = counts_of(burn.long_s), counts_of(burn.short_s)
    limit = min(burn.rate(objective) * objective.budget, MOST)
    value = long.bad / long.total if long.total else nan
    sure = _lower(long) > limit and short.total > 0 and short.bad / short.total > limit
    verdict: Verdict = "breach" if sure else "ok" if long.total else "not enough data"
    spent = 0.0 if not long.total else value / objective.budget * burn.long_s / objective.period_s
    what = (f"{objective.name}: {long.bad} of {long.total} answers within {span(burn.long_s)} were bad ({_shown(value)}); "
            f"that spends {spent:.1%} of the budget of {span(objective.period_s)}, and {burn.spent:.0%} is the limit")  # fmt: skip
    return Finding("slo", f"{objective.name} over {span(burn.long_s)}", value / objective.budget, verdict, what, burn.severity,
                   limit=limit / objective.budget, evidence={"long": vars(long), "short": vars(short), "budget": objective.budget,
                                                             "plot": {"kind": "burn", "objective": objective.name}})  # fmt: skip


def budget(objective: Objective, counts_of: CountsOf) -> Finding:
    """What is left of the budget: 1 is all of it, below 0 it is overspent. Information: the burn rates alert."""
    spent = counts_of(objective.period_s)
    allowed = spent.total * objective.budget
    left = 1.0 - spent.bad / allowed if allowed else nan
    what = f"{objective.name}: {left_of(left, f'the error budget of {span(objective.period_s)}')}" if allowed else "no answers yet"
    return Finding("slo-budget", objective.name, left, "ok" if allowed else "not enough data", what, "info",
                   evidence={"good": spent.good, "bad": spent.bad})  # fmt: skip


def left_of(left: float, what: str) -> str:
    """A share of a budget in words: "20.00% of it is left", "it is overspent by 35.00%"."""
    shown = round(left, 4)
    return f"{what} is overspent by {_shown(-shown)}" if shown < 0 else f"{_shown(abs(shown))} of {what} is left"


def judge(objective: Objective, counts_of: CountsOf) -> list[Finding]:
    """The burn rates and the budget of one objective."""
    return [*(burning(objective, counts_of, burn) for burn in BURNS), budget(objective, counts_of)]


def span(seconds: float) -> str:
    """"5m", "6h", "3d"."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _lower(counts: Counts) -> float:
    """One-sided lower bound of the share of bad answers."""
    if counts.bad <= EXACT:
        return lower_bound(counts.bad, counts.total, CONFIDENCE)
    return wilson(counts.bad, counts.total, 2 * CONFIDENCE - 1).low


def _shown(share: float) -> str:
    return "none" if share != share else f"{share:.2%}"
