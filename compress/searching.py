"""The run of a search: which trial next, whether there is time for it, and what was found so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median

from ..sdk.core.budget import Budget
from ..sdk.core.errors import InputError
from ..sdk.core.plan import Precision
from .clock import Clock
from .damages import Damages
from .findings import Findings
from .ladder import Ladder
from .made import reasons
from .rungs import remarks
from .settings import Settings
from .space import Space
from .structures import UNCHANGED, Structure
from .trial_store import TrialStore
from .trials import Trial, Workbench

FIRST: tuple[Precision, ...] = ("int8-static", "int8-dynamic", "int4-weights", "float16")
"""Where a ladder begins: the class that saves most and can be taken."""
LADDER_SHARE = 0.6
"""Of the whole time, what the ladder may take."""
_NOTHING = ("nothing below float32 is within the budget, and smaller or faster without costing more of the other: the best is the package "
            "as it was")  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a run leaves behind."""

    trials: tuple[Trial, ...]
    rungs: tuple[tuple[int, str], ...]
    remarks: tuple[str, ...]
    ended: str
    orders: Mapping[str, Mapping[str, float]]


@dataclass
class Searching:
    """One run: attempts on a workbench until the time is over.

    Args:
        structure: that the workbench's package has; it is part of what every trial is.
        overall: the time of the whole search, where this run has a part of it.
    """

    bench: Workbench
    store: TrialStore
    clock: Clock
    budget: Budget
    price: float | None
    progress: Callable[[int, int, str], None]
    rungs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    notes: list[str] = field(default_factory=list[str])
    structure: Structure = UNCHANGED
    overall: Clock | None = None

    def __post_init__(self) -> None:
        self._damages = Damages(self.bench, self.store.of(self.structure), self.clock, self.notes)

    @property
    def orders(self) -> Mapping[str, Mapping[str, float]]:
        """How much nodes hurt, as far as it was measured."""
        return self._damages.known

    def run(self) -> Found:
        """Everything there is time for. Ctrl-C ends it early; before the first trial it is the caller's."""
        try:
            ended = self.search()
        except KeyboardInterrupt:
            if not self.store.trials:
                raise
            ended = "interrupted"
        return self.found(ended)

    def found(self, ended: str) -> Found:
        """What there is by now."""
        broken = [f"could not be read and was tried again: {file}" for file in self.store.broken]
        places = {key: place for place, key in enumerate(self.store.trials)}
        rungs = tuple((places[key], why) for key, why in self.rungs if key in places)
        trials = tuple(map(self._priced, self.store.trials.values()))
        unsure = sum(trial.verdict == "not enough data" for trial in trials)
        notes = [*broken, *self.notes, *(f"calibration: {held}" for held in self.bench.warnings)]
        notes += _few(unsure, len(self.bench.data)) if unsure else []
        return Found(trials, rungs, (*notes, *self._remarks(trials)), ended, self.orders)

    def defaults(self) -> None:
        """The package in float and in every class, without a ladder."""
        for precision in ("float32", *self._classes()):
            if precision != "float32" and self._late():
                return
            self.attempt(Settings(precision))

    def search(self) -> str:
        """Attempts until the time is over, which is said, or everything was tried."""
        self.attempt(Settings("float32"))
        able: list[Precision] = []
        for precision in self._classes():
            if self._late():
                return "time"
            if self.attempt(Settings(precision)).fault is None:
                able.append(precision)
                if len(able) == 1:
                    self._climb(precision)  # before the other classes: where time is short, what holds is found here
        return self._propose(Space(tuple(able), self._damages.order, self.bench.smooths)) if able else "everything tried"

    def _classes(self) -> tuple[Precision, ...]:
        taken = self.bench.plans.classes()
        return tuple(held for held in FIRST if held in taken)

    def _climb(self, first: Precision) -> None:
        ladder = Ladder(self.bench, self.attempt, lambda: self._late() or self.clock.over(LADDER_SHARE), self._damages.of_plan)
        climb = ladder.climb(Settings(first))
        self.rungs = [(self.store.key(rung.trial.settings), rung.why) for rung in climb.rungs]

    def _propose(self, space: Space) -> str:
        from .proposals import Proposals  # imports Optuna, which `search` made sure of

        proposals = Proposals(space, self.bench.seed, lambda settings: self._key(settings) in self.store.trials)
        for trial in [held for held in self.store.trials.values() if held.settings.structure == self.structure]:
            if self._late():
                return "time"
            proposals.tell(trial)
        while not self._late():
            settings = proposals.next()
            if settings is None:
                return "everything tried"
            proposals.tell(self.attempt(settings))
        return "time"

    def attempt(self, settings: Settings) -> Trial:
        """The trial of these settings: the one that was made before, or a new one, kept."""
        settings = settings.of(self.structure)
        if (key := self._key(settings)) in self.store.trials:
            return self.store.trials[key]
        clock = self.overall or self.clock
        share = min(100, round(100 * clock.spent / clock.seconds))
        self.progress(len(self.store.trials), share, self._said(settings))
        if settings.kept:
            self.bench.why |= reasons(settings.precision, self._damages.of(settings))
        return self.store.add(self._run_one(settings))

    def _run_one(self, settings: Settings) -> Trial:
        try:
            return self.bench.attempt(settings)
        except InputError:  # rows that cannot be used: the caller's, not the trial's
            raise
        except Exception as error:  # an engine that raises what it never did is this trial's end, not the search's: recorded
            said = f"{type(error).__name__}: {error}"
            return Trial(settings, "failed", fault=said)

    def _key(self, settings: Settings) -> str:
        return self.store.key(settings.of(self.structure))

    def _late(self) -> bool:
        """The next trial would likely end more than half of its time beyond the deadline."""
        taken = [trial.seconds for trial in self.store.trials.values() if trial.seconds]
        return self.clock.left <= (median(taken) / 2 if taken else 0)

    def _priced(self, trial: Trial) -> Trial:
        if self.price is None or "p50_ms" not in trial.figures:
            return trial
        return replace(trial, figures={**trial.figures, "cost_per_1k": trial.figures["p50_ms"] / 3600 * self.price})

    def _so_far(self) -> Findings:
        return Findings(self.bench.package.name, self.bench.target, self.budget, tuple(map(self._priced, self.store.trials.values())))

    def _said(self, settings: Settings) -> str:
        best = self._so_far().best_trial
        so_far = (
            f"{best.settings}, p95 {best.figures['p95_ms']:.3g} ms, {best.figures['size_mb']:.3g} MB" if best else "none within the budget"
        )
        left = max(0, (self.overall or self.clock).left)
        return f"trial {len(self.store.trials) + 1}: {settings}; {left:.0f} s left; best so far: {so_far}"

    def _remarks(self, trials: tuple[Trial, ...]) -> list[str]:
        best = replace(self._so_far(), trials=trials).best_trial
        if best is None:
            return []
        if all(trial.settings.as_it_was for trial in trials):
            return ["there was no time to try anything below float32: give it more minutes"]
        if best.settings.as_it_was:
            return [_NOTHING]
        return list(remarks(best))


def _few(trials: int, rows: int) -> list[str]:
    return [f"{trials} of the trials could not be judged on these {rows} rows: their reasons say what is missing"]
