"""The answer of a search: its findings, the packages behind them, as data, as text, and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..runtimes.audit_text import gate_lines
from ..sdk.core.budget import Budget
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from .findings import Findings
from .front_text import lines
from .search_page import page
from .trials import Trial


@dataclass(frozen=True)
class Front(Findings):
    """What was found, see `Findings`, and what can be made of it."""

    @cached_property
    def best(self) -> Package | None:
        """The package of `best_trial`, made when it is first asked for and kept in the store; None: nothing is within the budget.

        The budget's gates travel in its recipe: every compile of it asks them again, against the package that was searched.
        Raises InputError for a front that was read from a file, StoreError where the store cannot be written.
        """
        return None if self.best_trial is None else self.package_of(self.best_trial)

    def package_of(self, trial: Trial, out: Path | str | None = None) -> Package:
        """The package of any trial, in a new folder or the store. Raises as `best` does."""
        if self.maker is None:
            raise InputError(
                "A front that was read from a file has figures, not packages", fix="Search again in the same folder: resume=..."
            )
        if trial.settings.as_it_was:
            return self.maker.package
        return self.maker.package_of(trial.settings, None if out is None else Path(out))

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
        """Parse; what follows from the trials is found again. Raises FormatError for trials of an earlier version."""
        own = ("name", "target", "ended", "seconds", "lineage", "command")
        return cls(budget=Budget.from_dict(data["budget"]), trials=tuple(Trial.from_dict(held) for held in data["trials"]),
                   rungs=tuple((int(place), str(why)) for place, why in data["rungs"]), remarks=tuple(data["remarks"]),
                   **{name: data[name] for name in own})  # fmt: skip

    def report(self, path: Path | str) -> Path:
        """Write a page that stands alone: the front, trials, ladder, audit of the best, lineage; light and dark."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(self), encoding="utf-8")
        return file

    def __str__(self) -> str:
        chosen, mark = self.best_trial or self.nearest, "best" if self.best_trial is not None else "nearest miss"
        text = [f"{self.name} on {self.target}, {len(self.trials)} trials: {self.verdict}", "", *lines(self.trials, self.points, chosen)]
        text += ["", f"  > {mark}: {chosen.settings}"] if chosen is not None else []
        text += ["", *gate_lines([gate.to_dict() for gate in chosen.asked])] if chosen is not None and chosen.asked else []
        return "\n".join([*text, *(f"  note: {remark}" for remark in self.remarks)])
