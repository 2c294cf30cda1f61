"""Where a recipe's result is measured, and what it is held against: the package that the recipe began with, on the target's own engine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ..sdk.core.budget import Budget
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest, slices_digest
from ..sdk.core.package import Package
from ..sdk.core.plan import PRECISIONS, Precision, plan_of
from .base import Pass
from .distil_endpoint import Endpoint, is_address
from .histogram import METHODS
from .kept_steps import NOWHERE, Held, KeptSteps
from .ladder import Climb, Ladder
from .quantize import Quantize
from .rungs import Rung, remarks
from .settings import Settings
from .structures import Structure
from .trial_store import plain, trial_of
from .trials import Trial, Workbench


@dataclass(frozen=True)
class Judge:
    """Measures what passes made of a package.

    Attributes:
        ancestor: the package that the recipe began with; drops, latency and bytes are held against it in float.
        target: the runtime.
        held_out: rows to judge on.
        data: rows that passes learn from.
        gates: of the recipe.
        seed: of everything random.
        progress: called with (done, of, what).
        steps: keeps what rungs share, while it is made, and every rung.
    """

    ancestor: Package
    target: str
    held_out: Data
    data: Data
    gates: Budget
    seed: int
    progress: Callable[[int, int, str], None]
    steps: KeptSteps = NOWHERE

    def climb(self, package: Package, before: Sequence[Pass], step: Quantize, out: Path | None) -> tuple[Package, Climb]:
        """(the package of the rung that was chosen, the climb); `package` itself where nothing lower than float32 holds.

        What passes before made is measured first, as it is: where that does not hold, no precision is tried.

        Args:
            package: what the passes `before` made of the ancestor.
            before: these passes.
            step: the class to begin with.
            out: folder that does not exist yet.
        """
        done = _structure(before)
        with self._bench(package) as bench:
            begun = [self._as_it_is(bench, before, "what the passes before made")] if before else []
            if begun and not begun[0].trial.passed:
                return package, _alone(begun[0])
            climb = Ladder(bench, lambda settings: self._attempt(bench, settings.of(done)), rungs=begun).climb(step.settings)
            chosen = climb.chosen.trial.settings
            return (package if chosen.precision == "float32" else bench.package_of(chosen, out)), climb

    def measure(self, package: Package, passes: Sequence[Pass]) -> Climb:
        """One rung: what these passes made of the ancestor, as it is."""
        with self._bench(package) as bench:
            return _alone(self._as_it_is(bench, passes, "what the recipe made"))

    def _as_it_is(self, bench: Workbench, passes: Sequence[Pass], why: str) -> Rung:
        """A package without any precision but its own, under the name of its passes."""
        return Rung(why, replace(self._attempt(bench, Settings("float32")), settings=_settings(bench.package).of(_structure(passes))))

    def _attempt(self, bench: Workbench, settings: Settings) -> Trial:
        """The trial of these settings: as it was measured before the run was killed, or measured now. What failed to run is tried again."""
        if self.steps.folder is None:
            return bench.attempt(settings)
        key = {
            **self._about, "package": bench.package.digest, "versions": bench.floats.built.get("versions"), "settings": settings.to_dict(),
            "why": {node: bench.why.get(node) for node in settings.kept},
        }  # fmt: skip
        if (held := self.steps.read("rung", key)) is not None:
            _ = bench.calibration if settings.calibrated else None  # what it warns of is said with the rungs
            return trial_of(held.said)
        trial = bench.attempt(settings)
        if trial.fault is None:
            self.steps.write("rung", key, Held(said=plain(trial.to_dict())))
            self.steps.flush()
        return trial

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What the figures of every rung depend on."""
        return {
            "ancestor": self.ancestor.digest, "target": self.target, "held_out": data_digest(self.held_out),
            "slices": slices_digest(self.held_out), "data": data_digest(self.data), "gates": self.gates.gates.to_dict(), "seed": self.seed,
        }  # fmt: skip

    @contextmanager
    def _bench(self, package: Package) -> Generator[Workbench]:
        """A bench for a package, beside that of the ancestor where this is another one."""
        with self._opened(self.ancestor, None) as source:
            if package.digest == self.ancestor.digest:
                yield source
                return
            with self._opened(package, source) as bench:
                yield bench

    def _opened(self, package: Package, source: Workbench | None) -> Workbench:
        return Workbench(package, self.target, self.held_out, self.data, limits=self.gates, seed=self.seed, progress=self.progress,
                         source=source, steps=self.steps)  # fmt: skip


def _alone(rung: Rung) -> Climb:
    broken = () if rung.trial.passed else ("what the passes made does not hold, so nothing is kept of it",)
    return Climb((rung,), rung, (*broken, *remarks(rung.trial)))


def _structure(passes: Sequence[Pass]) -> Structure:
    return Structure(tuple(_public(step.to_dict()) for step in passes))


def _public(step: Mapping[str, Any]) -> dict[str, Any]:
    """A pass as a package may keep it: what stands behind the `?` of a teacher's address can be a key."""
    if not isinstance(teachers := step.get("teacher"), list):
        return dict(step)
    said = [Endpoint(cast("str", one)).said if is_address(one) else one for one in cast("list[object]", teachers)]
    return {**step, "teacher": said}


def _settings(package: Package) -> Settings:
    """The precision that a package has by its plan: the lowest class of it."""
    plan = plan_of(package.content.plan)
    classes: list[Precision] = ["float32", *plan.nodes.values()]
    method = plan.calibration.get("method")
    return Settings(max(classes, key=PRECISIONS.index), method if method in METHODS else "min-max", per_channel=plan.per_channel)
