"""The run of a search over structures: all of them trained short, the best third longer, then precision for those that are left.

1. The package as it is, and every class of precision at its defaults: what precision alone saves.
2. Structures by successive halving, see `halving`: in float, and once each in the class that saved most bytes.
3. For the best of them what a search does for any package: classes, ladder, proposals.
4. The same for the package as it is, with the time that is left. Where its cheapest trial costs more than the budget allows, structures
   that were left behind come first: each is trained in full and lowered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from statistics import median

from ..sdk.core.errors import PortsideError, StoreError
from ..sdk.core.package import Package
from .clock import Clock
from .excess import costs
from .halving import LEAST, SHARES, Saves, going_on, order, saved, smallest
from .made import Made
from .searching import Found, Searching
from .settings import Settings
from .shelf import Shelf, Unfinished
from .structures import UNCHANGED, Structure
from .trials import Trial, Workbench

SHARE = 0.6
"""Of the whole time, when structures are done with."""
TRAINED = "trained_s"
"""The figure that says how long a structure's passes took."""


@dataclass
class StructuredSearching:
    """One run over structures; `plain` is that of the package as it is, whose bench, store, clock and budget hold for all."""

    plain: Searching
    shelf: Shelf
    structures: Sequence[Structure]
    notes: list[str] = field(default_factory=list[str])
    rungs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    lowered: dict[Structure, Made] = field(default_factory=dict[Structure, Made])

    def run(self) -> Found:
        """Everything there is time for; Ctrl-C ends it early, and before the first trial it is the caller's."""
        self.shelf.tidy()
        try:
            ended = self._run()
        except KeyboardInterrupt:
            if not self.plain.store.trials:
                raise
            ended = "interrupted"
        found = self.plain.found(ended)
        places = {key: place for place, key in enumerate(self.plain.store.trials)}
        rungs = tuple((places[key], why) for key, why in self.rungs if key in places)
        return replace(found, rungs=(*rungs, *found.rungs), remarks=(*self.notes, *found.remarks))

    def _run(self) -> str:
        self.plain.defaults()
        self._halve()
        best = self._best(LEAST, trained=True)
        for number, trial in enumerate(best):
            if self.plain.clock.left <= 0:
                return "time"
            part = Clock(self.plain.clock.left / (len(best) - number + 1))
            self._lower(trial.settings.structure, part)
        if not self._affordable():
            self._further()
        return self.plain.search()

    def _affordable(self) -> bool:
        """Some trial of the package as it was costs no more than the budget allows."""
        plain = [trial for trial in self.plain.store.trials.values() if trial.figures and not trial.settings.structure]
        return any(not costs(trial, self.plain.budget) for trial in plain)

    def _further(self) -> None:
        """Structures that were left behind, the most promising first, while their training takes less than half of the time left."""
        for trial in self._best(len(self.structures)):
            structure = trial.settings.structure.at(1.0)
            if structure in self.lowered or self._expected(structure, []) > self.plain.clock.left / 2:
                continue
            if any(held.figures for held in self._rung([structure], float("inf"), "left behind, and time was left")):
                self._lower(structure, Clock(self.plain.clock.left / 2))

    def _halve(self) -> None:
        """Rung by rung; a third of those that were trained goes on."""
        left, why = list(self.structures), "trained short first"
        for number, share in enumerate(SHARES):
            spent, last = self.plain.clock.spent, number == len(SHARES) - 1
            until = spent + (1 if last else 0.5) * max(0.0, SHARE * self.plain.clock.seconds - spent)
            trials = self._rung([held.at(share) for held in left], until, why)
            trained = [trial for trial in trials if trial.settings.structure.trains]
            left = [trained[place].settings.structure for place in going_on(trained, self.plain.budget, self._saves())]
            why = f"of the best of {len(trained)} that were trained for {share:.2g} of their epochs"

    def _rung(self, structures: Sequence[Structure], until: float, why: str) -> list[Trial]:
        """Trials of structures, one by one, those that would likely take half of their time beyond the rung's are left out."""
        trials: list[Trial] = []
        for structure in structures:
            key = self.plain.store.key(Settings("float32").of(structure))
            if key not in self.plain.store.trials:
                note = f"there was no time to train: {structure}"
                if self.plain.clock.spent + self._expected(structure, trials) / 2 > until:
                    self.notes.append(note)
                    continue
                self.notes = [held for held in self.notes if held != note]  # it is trained after all
                if (trial := self._trained(structure)) is None:
                    continue
                self.plain.store.add(trial)
            trials.append(self.plain.store.trials[key])
            self.rungs.append((key, why))
        return trials

    def _expected(self, structure: Structure, before: Sequence[Trial]) -> float:
        """Seconds that a structure will likely take: by its own shorter training, else as the others of its rung."""
        for shorter in reversed(SHARES):
            held = self._of(structure.at(shorter)) if shorter < structure.share else None
            if held is not None and TRAINED in held.figures:
                return held.figures[TRAINED] * structure.share / shorter + held.seconds
        taken = [trial.figures[TRAINED] + trial.seconds for trial in before if TRAINED in trial.figures]
        return median(taken) if taken else 0.0

    def _of(self, structure: Structure) -> Trial | None:
        return self.plain.store.trials.get(self.plain.store.key(Settings("float32").of(structure)))

    def _trained(self, structure: Structure) -> Trial | None:
        """A structure made and measured in float; None where the time of the search ended first."""
        settings, began = Settings("float32").of(structure), time.monotonic()
        self._say(f"trial {len(self.plain.store.trials) + 1}: {settings}; {max(0, self.plain.clock.left):.0f} s left")
        try:
            package = self.shelf.make(structure, began + self.plain.clock.left, self._told(structure))
            trained = time.monotonic() - began
            with closing(self._bench(package)) as bench:
                trial = bench.attempt(settings)
                self._sample(bench, structure)
        except Unfinished:
            self.notes.append(f"the time was over before it was trained: {structure}; what was done is kept where there is a folder")
            return None
        except StoreError:
            raise
        except PortsideError as error:
            return Trial(settings, "failed", fault=str(error), seconds=time.monotonic() - began)
        except Exception as error:  # the user's own training code may raise anything: it is this trial's end, not the search's
            return Trial(settings, "failed", fault=f"{type(error).__name__}: {error}"[:300], seconds=time.monotonic() - began)
        return trial if not trial.figures else replace(trial, figures={**trial.figures, TRAINED: trained})

    def _sample(self, bench: Workbench, structure: Structure) -> None:
        """What precision saves on a structure, once: a small network does not save what a large one does."""
        known = smallest(self.plain.store.trials.values())
        if UNCHANGED in known and structure.at(1.0) not in known:
            replace(self.plain, bench=bench, rungs=[], notes=[], structure=structure).attempt(replace(known[UNCHANGED].settings, kept=()))

    def _best(self, many: int, trained: bool = False) -> list[Trial]:
        """Of each structure the trial that was trained longest; of these the most promising.

        Args:
            many: at most so many.
            trained: those that were trained in full alone, where there are any: the precision of another says nothing yet.
        """
        longest: dict[str, Trial] = {}
        for trial in self.plain.store.trials.values():
            structure = trial.settings.structure
            if structure and trial.settings.precision == "float32" and structure.at(1.0) in self.structures:
                key = structure.at(1.0).key
                if key not in longest or longest[key].settings.structure.share < structure.share:
                    longest[key] = trial
        trials = list(longest.values())
        whole = [trial for trial in trials if trial.figures and trial.settings.structure.share == 1]
        trials = whole if trained and whole else trials
        return [trials[place] for place in order(trials, self.plain.budget, self._saves())[:many]]

    def _lower(self, structure: Structure, part: Clock) -> None:
        """Search precision for one structure within a part of the time."""
        try:
            bench = self._bench(self.shelf.make(structure, progress=self._told(structure)))
        except PortsideError as error:
            self.notes.append(f"precision of {structure} was not searched: {error}")
            return
        with closing(bench):
            inner = replace(self.plain, bench=bench, clock=part, rungs=[], notes=[], structure=structure, overall=self.plain.clock)
            inner.search()
            self.lowered[structure] = Made(bench, inner.orders)
            self.rungs += inner.rungs
            self.notes += [f"{structure}: {note}" for note in inner.notes]

    def _bench(self, package: Package) -> Workbench:
        held = self.plain.bench
        return Workbench(package, held.target, held.data, held.calibration_data, limits=held.limits, price_per_hour=held.price,
                         seed=held.seed, progress=held.progress, source=held, steps=held.steps)  # fmt: skip

    def _saves(self) -> Saves:
        return saved(self.plain.store.trials.values())

    def _say(self, what: str) -> None:
        self.plain.progress(len(self.plain.store.trials), min(100, round(100 * self.plain.clock.spent / self.plain.clock.seconds)), what)

    def _told(self, structure: Structure) -> Callable[[int, int, str], None]:
        """Progress of passes, with what they work on; the changing loss is left out."""
        return lambda done, of, what: self._say(f"{structure}: {what.partition(', loss ')[0]}")
