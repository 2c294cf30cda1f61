"""What a search found: the trials, those that no other beats, and the one within the budget, or the nearest miss and what binds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..sdk.core.budget import Budget
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from .excess import Excess, costs, excesses, total
from .front_text import lines
from .ladder import costs_more
from .made import Made
from .ranking import non_dominated, objectives
from .trials import Trial

Outcome: TypeAlias = Literal["within the budget", "nothing within the budget", "not enough data"]
TIE = 1.05
"""Latencies within this ratio of the lowest are the same: repeats differ by more. The smaller file wins then."""


@dataclass(frozen=True)
class Front:
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
        """The fastest (p95) of the trials within the budget, the smaller where that is a tie; None: there is none.

        One that is slower or larger than float is chosen only where nothing else is within the budget.
        """
        every = [trial for trial in self.trials if not excesses(trial, self.budget)]
        within = [trial for trial in every if not costs_more(trial)] or every
        fastest = min((trial.figures.get("p95_ms", inf) for trial in within), default=inf)
        ties = [trial for trial in within if trial.figures.get("p95_ms", inf) <= fastest * TIE]
        return min(ties, key=lambda trial: (trial.figures.get("size_mb", inf), trial.figures.get("p95_ms", inf)), default=None)

    @cached_property
    def best(self) -> Package | None:
        """The package of `best_trial`, made when it is first asked for and kept in the store; None: nothing is within the budget.

        Raises InputError for a front that was read from a file, StoreError where the store cannot be written.
        """
        return None if self.best_trial is None else self.package_of(self.best_trial)

    def package_of(self, trial: Trial, out: Path | str | None = None) -> Package:
        """The package of any trial, in a new folder or the store. Raises as `best` does."""
        if self.maker is None:
            raise InputError(
                "A front that was read from a file has figures, not packages", fix="Search again in the same folder: resume=..."
            )
        if trial.settings.precision == "float32":
            return self.maker.package
        return self.maker.package_of(trial.settings, None if out is None else Path(out))

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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        place = {id(trial): number for number, trial in enumerate(self.trials)}
        best, nearest = (None if trial is None else place[id(trial)] for trial in (self.best_trial, self.nearest))
        return {
            "name": self.name, "target": self.target, "verdict": self.verdict, "outcome": self.outcome, "budget": self.budget.to_dict(),
            "best": best, "nearest": nearest, "binding": self.binding.to_dict() if self.binding else None,
            "points": [place[id(trial)] for trial in self.points], "trials": [trial.to_dict() for trial in self.trials],
            "rungs": [list(rung) for rung in self.rungs], "remarks": list(self.remarks), "ended": self.ended, "seconds": self.seconds,
            "lineage": dict(self.lineage), "command": self.command,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Front:
        """Parse; what follows from the trials is found again."""
        own = ("name", "target", "ended", "seconds", "lineage", "command")
        return cls(budget=Budget.from_dict(data["budget"]), trials=tuple(Trial.from_dict(held) for held in data["trials"]),
                   rungs=tuple((int(place), str(why)) for place, why in data["rungs"]), remarks=tuple(data["remarks"]),
                   **{name: data[name] for name in own})  # fmt: skip

    def report(self, path: Path | str) -> Path:
        """Write a page that stands alone: the front, trials, ladder, audit of the best, lineage; light and dark."""
        from .search_page import page  # the page is much code that a search itself does not need

        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(self), encoding="utf-8")
        return file

    def __str__(self) -> str:
        chosen, mark = self.best_trial or self.nearest, "best" if self.best_trial is not None else "nearest miss"
        text = [f"{self.name} on {self.target}, {len(self.trials)} trials: {self.verdict}", "", *lines(self.trials, self.points, chosen)]
        text += ["", f"  > {mark}: {chosen.settings}"] if chosen is not None else []
        return "\n".join([*text, *(f"  note: {remark}" for remark in self.remarks)])
