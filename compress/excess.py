"""By how much a trial is over a budget, limit by limit: which one binds, and how near a miss was. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from ..sdk.core.budget import Budget
from .trials import Trial

CONTRACT = "contract"
"""The excess of a trial whose answers break the contract: no limit of the budget, and counted as twice what is allowed."""
_NOTHING = 1e-9


@dataclass(frozen=True)
class Excess:
    """One limit that a trial is over.

    Attributes:
        limit: its name in the budget, or "contract".
        measured: what was found; of a quality limit the end of the interval that is held against it. None: no figure.
        allowed: the limit; None for the contract.
        note: the reason in words, where there are any.
    """

    limit: str
    measured: float | None
    allowed: float | None
    note: str = ""

    @property
    def relative(self) -> float:
        """The part over the limit, in units of the limit: 0.5 is half as much again. Without figures 1."""
        if self.measured is None or self.allowed is None or not isfinite(self.measured):
            return 1.0
        return (self.measured - self.allowed) / max(self.allowed, _NOTHING)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an infinite loss is "inf"."""
        measured = str(self.measured) if self.measured is not None and not isfinite(self.measured) else self.measured
        return {**vars(self), "measured": measured}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Excess:
        """Parse what `to_dict` made."""
        held = dict(data)
        measured = held.pop("measured")
        return cls(measured=None if measured is None else float(measured), **held)

    def __str__(self) -> str:
        if self.allowed is None:
            return f"the contract does not hold: {self.note}"
        measured = "not measured" if self.measured is None else f"{self.measured:.4g}"
        return f"{self.limit} {measured} against {self.allowed:g}"


def excesses(trial: Trial, budget: Budget) -> tuple[Excess, ...]:
    """Every limit that the trial is over, the largest part first; empty: within the budget."""
    found = [*costs(trial, budget), *_quality(trial)]
    return tuple(sorted(found, key=lambda held: -held.relative))


def costs(trial: Trial, budget: Budget) -> list[Excess]:
    """The limits on size, latency, memory and price that the trial is over."""
    gates, figures = budget.gates.limits, trial.figures
    limits = {name: held for name, held in budget.limits.items() if name not in gates}
    return [Excess(name, figures.get(name), held) for name, held in limits.items() if not (figures.get(name, inf) <= held)]


def total(trial: Trial, budget: Budget) -> float:
    """The sum of the relative excesses: what makes one miss nearer than another."""
    return sum(held.relative for held in excesses(trial, budget))


def _quality(trial: Trial) -> list[Excess]:
    if trial.passed:
        return []
    found = [Excess(gate.name, gate.measured, gate.limit, str(gate)) for gate in trial.asked if not gate]
    others = "; ".join(filter(None, (trial.fault, *trial.broken)))
    return found + ([Excess(CONTRACT, None, None, others or trial.verdict)] if others or not found else [])
