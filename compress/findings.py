"""What follows from trials and a budget: those that no other beats, the best within it, or the nearest miss and what binds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, Literal, TypeAlias

from ..sdk.core.budget import Budget
from .excess import Excess, costs, excesses, total
from .made import Made
from .ranking import non_dominated, objectives
from .rungs import costs_more
from .trials import Trial

Outcome: TypeAlias = Literal["within the budget", "nothing within the budget", "not enough data"]
TIE = 1.05
"""Latencies within this ratio of the lowest are the same: repeats differ by more. The smaller file wins then."""


@dataclass(frozen=True)
class Findings:
    """The answer of a search.

    Attributes:
        name: of the package that was searched.
        target: the runtime on which everything was measured.
        budget: what was asked for.
        trials: everything that was tried, in order; also what failed.
        rungs: (place in `trials`, why it was tried) of the ladder.
        remarks: what a reader must know beside the figures.
        ended: why the search ended: "time", "everything tried" or "interrupted".
        seconds: that it took, without what an earlier search in the same folder took.
        lineage: digests and versions of what went in.
        command: the command line that makes it again.
    """

    MARK: ClassVar[str] = "best"
    """What a plot calls `best_trial`."""

    name: str
    target: str
    budget: Budget
    trials: tuple[Trial, ...]
    rungs: tuple[tuple[int, str], ...] = ()
    remarks: tuple[str, ...] = ()
    ended: str = "time"
    seconds: float = 0.0
    lineage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    command: str = ""
    maker: Made | None = field(default=None, repr=False, compare=False)

    @property
    def points(self) -> tuple[Trial, ...]:
        """Trials that passed and that no other beats in latency, size and loss together; the fastest first."""
        passed = [trial for trial in self.trials if trial.passed]
        places = non_dominated([objectives(trial) for trial in passed])
        return tuple(sorted((passed[place] for place in places), key=objectives))

    @property
    def best_trial(self) -> Trial | None:
        """The fastest (p95) of the trials within the budget that no other of them beats, the smaller where that is a tie.

        A tail of a second of calls is the machine's in part: of those that tie in p95, the slower in the median are left out.
        One that is slower or larger than float is chosen only where nothing else is within the budget.
        """
        every = [trial for trial in self.trials if not excesses(trial, self.budget)]
        paying = [trial for trial in every if not costs_more(trial)] or every
        within = [paying[place] for place in non_dominated([objectives(trial) for trial in paying])]
        ties = _fastest(_fastest(within, "p95_ms"), "p50_ms")
        return min(ties, key=lambda trial: (trial.figures.get("size_mb", inf), trial.figures.get("p95_ms", inf)), default=None)

    @property
    def nearest(self) -> Trial | None:
        """Where nothing is within the budget: the trial whose relative excesses add up to the least."""
        measured = [trial for trial in self.trials if trial.figures] if self.best_trial is None else []
        return min(measured, key=lambda trial: (total(trial, self.budget), objectives(trial)), default=None)

    @property
    def binding(self) -> Excess | None:
        """The limit that the nearest miss is over by most; None where something is within the budget."""
        return None if self.nearest is None else next(iter(excesses(self.nearest, self.budget)), None)

    @property
    def undecided(self) -> tuple[Trial, ...]:
        """Trials that cost little enough, and that the rows are too few to judge."""
        return tuple(trial for trial in self.trials if trial.verdict == "not enough data" and not costs(trial, self.budget))

    @property
    def outcome(self) -> Outcome:
        """The verdict without figures."""
        if self.best_trial is not None:
            return "within the budget"
        return "not enough data" if self.undecided else "nothing within the budget"

    @property
    def verdict(self) -> str:
        """One line: within the budget, or what binds, or what the rows cannot tell."""
        if self.outcome == "not enough data":
            return f"not enough data: {'; '.join(self.undecided[0].reasons)}"
        if self.outcome == "within the budget":
            return self.outcome
        return f"{self.outcome}: {self.binding or next((t.fault for t in self.trials if t.fault), 'no trial was finished')}"


def _fastest(trials: Sequence[Trial], name: str) -> list[Trial]:
    """Those that tie for the lowest of this latency; one that was not measured is slower than all others."""
    lowest = min((trial.figures.get(name, inf) for trial in trials), default=inf)
    return [trial for trial in trials if trial.figures.get(name, inf) <= lowest * TIE]
