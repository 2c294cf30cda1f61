"""The ladder: from the class that was asked for down to what holds, one measured rung after the other.

1. The class on every node that can take it, at the cheapest calibration.
2. The nodes that hurt most, measured one by one, go back into float32: one, two, four, ... up to half. Where that holds and
   costs more than the number before, the gap between the two is halved, for the fewest that hold; and of those beyond, nodes
   that cost more than they help are left out.
   Before that weights with one scale get a scale per channel, and int8-dynamic smooths its activations, where the target can; nodes
   go back from whichever lost least.
3. Other calibrations, with the same nodes kept.
4. The next class: int8-static, int8-dynamic, int4-weights and float16 in the order of what they save; at last float32.

A rung ends the climb when its fidelity and the gates hold and it pays: smaller or faster than float, and neither slower nor larger. The
first that holds and gains one of the two at the price of the other is what is left above float32, and said to be slower or larger. "Not
enough data" is no rung to stand on either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..sdk.core.plan import Precision, PrecisionPlan
from .fewest import Doubled, Fewest
from .rungs import Rung, gains, holds, remarks
from .sensitivity import sensitivity
from .settings import Settings
from .trials import Trial, Workbench

NEXT: dict[Precision, Precision] = {
    "int8-static": "int8-dynamic",
    "int8-dynamic": "float16",
    "int4-weights": "int8-dynamic",
    "float16": "float32",
}


@dataclass(frozen=True)
class Climb:
    """What a ladder found.

    Attributes:
        rungs: in the order of the attempts.
        chosen: the rung that holds; float32 itself where nothing else does.
        remarks: what a reader must know: what stayed float and why; slower, larger.
    """

    rungs: tuple[Rung, ...]
    chosen: Rung
    remarks: tuple[str, ...] = ()

    @property
    def undecided(self) -> bool:
        """Float32 was all that was left, and the rows are too few to judge rungs below it, or what passes before made."""
        below = [rung.trial for rung in self.rungs if rung.trial.settings.precision != "float32"]
        chosen = self.chosen.trial
        left = chosen.settings.precision == "float32" and any(trial.verdict == "not enough data" for trial in below)
        return left or (chosen.verdict == "not enough data" and not chosen.settings.as_it_was)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rungs": [rung.to_dict() for rung in self.rungs],
            "chosen": self.chosen.trial.settings.to_dict(),
            "remarks": list(self.remarks),
        }


@dataclass
class Ladder:
    """One climb on a workbench.

    Args:
        bench: package, target and data.
        attempt: makes a trial; a search passes one that remembers.
        late: asked before every rung; True ends the climb with the best so far.
        hurts: plan -> damage of each of its nodes, largest first; a search passes one that remembers.
    """

    bench: Workbench
    attempt: Callable[[Settings], Trial] | None = None
    late: Callable[[], bool] = lambda: False
    hurts: Callable[[PrecisionPlan], Mapping[str, float]] | None = None
    rungs: list[Rung] = field(default_factory=list[Rung])
    _doubled: Doubled | None = field(default=None, init=False)
    """The last settings with nodes kept in float32 because of what they hurt."""

    def climb(self, first: Settings) -> Climb:
        """Rungs from `first` on, until one holds. Raises UnsupportedError where no node can take the class at all."""
        self.bench.plans.plan(first)
        fallback: Rung | None = None
        for settings, why in self._steps(first):
            if self.late() or (fallback is not None and settings.precision == "float32"):
                break
            rung = self._tried(settings, why)
            if holds(rung.trial):
                return self._done(self._fewest(rung, settings))
            if rung.trial.passed and fallback is None and gains(rung.trial):
                fallback = rung
        return self._done(fallback or self._float())

    def _tried(self, settings: Settings, why: str) -> Rung:
        rung = Rung(why, (self.attempt or self.bench.attempt)(settings))
        self.rungs.append(rung)
        return rung

    def _fewest(self, rung: Rung, settings: Settings) -> Rung:
        if (doubled := self._doubled) is None or settings != doubled.settings(doubled.count):  # another calibration or class
            return rung
        return Fewest(doubled, self.rungs[-2].trial, self._tried, self.late).of(rung)

    def _steps(self, first: Settings) -> Iterator[tuple[Settings, str]]:
        """Settings to try, each after the verdict on the one before."""
        settings, why = first, "asked for"
        while settings.precision != "float32":
            yield settings, why
            broken, before = self._broken(), self.rungs[-1].trial
            for change, said in self._changes(settings) if broken else ():
                changed = replace(settings, **change)
                yield changed, said
                after = self.rungs[-1].trial
                settings, before = (changed, after) if after.fault is None and after.loss < before.loss else (settings, before)
                if not (broken := not after.passed):
                    break
            if broken:
                yield from self._kept(settings)
            following = NEXT[settings.precision]
            while following != "float32" and not self.bench.plans.nodes(following):
                following = NEXT[following]
            why = f"{settings.precision} does not hold, or does not pay" if self.rungs else "nothing can take the class"
            settings = Settings(following, kept=tuple(first.kept), per_channel=settings.per_channel)
        yield settings, why

    def _broken(self) -> bool:
        """The last rung lost too much, rather than too much time."""
        return not self.rungs[-1].trial.passed and self.rungs[-1].trial.fault is None

    def _changes(self, settings: Settings) -> Iterator[tuple[dict[str, Any], str]]:
        """What may help a class on all of its nodes, and costs next to nothing."""
        if settings.precision.startswith("int8") and not settings.per_channel:
            yield {"per_channel": True}, "a scale for each output channel of a weight, rather than one for all"
        if settings.precision == "int8-dynamic" and not settings.smooth and self.bench.smooths:
            yield {"smooth": True}, "channels of activations divided by factors, weights multiplied by them"

    def _kept(self, settings: Settings) -> Iterator[tuple[Settings, str]]:
        """The same class with the nodes that hurt most in float32, then with other calibrations."""
        plan = self.bench.plan_of(settings)
        hurts = (self.hurts or self._measured)(plan)
        order = [name for name, held in hurts.items() if held > 0]
        self.bench.why |= {
            name: f"alone in {settings.precision} it moves the model by {held:.3g} of its spread" for name, held in hurts.items()
        }
        count, tried = 1, settings
        while count <= max(1, len(order) // 2) and count < len(plan.nodes):
            self._doubled = Doubled(settings, order, count)
            tried, last = self._doubled.settings(count), order[count - 1]
            which = f"the node that hurts most, {last}" if count == 1 else f"the {count} nodes that hurt most, {last} last"
            yield tried, f"back in float32: {which}: {self.bench.why[last]}"
            if not self._broken():
                return
            count *= 2
        if settings.calibrated:
            for method, percentile in (("percentile", 99.99), ("entropy", 99.99)):
                if (method, percentile) != (settings.method, settings.percentile):
                    yield Settings(settings.precision, method, percentile, settings.per_channel, tried.kept), f"{method} ranges instead"  # type: ignore[arg-type]
                    if not self._broken():
                        return

    def _measured(self, plan: PrecisionPlan) -> Mapping[str, float]:
        bench = self.bench
        return sensitivity(bench.package, plan, bench.calibration_data, seed=bench.seed, progress=bench.progress, late=self.late,
                           steps=bench.steps)  # fmt: skip

    def _float(self) -> Rung:
        for rung in self.rungs:
            if rung.trial.settings.precision == "float32":
                return rung
        return self._tried(Settings("float32"), "nothing else held" if self.rungs else "there was no time for another rung")

    def _done(self, chosen: Rung) -> Climb:
        climb = Climb(tuple(self.rungs), chosen)
        few = ("the rows cannot tell whether something lower than float32 holds: the rungs say what is missing",) if climb.undecided else ()
        warned = tuple(f"calibration: {held}" for held in self.bench.warnings)
        return replace(climb, remarks=(*(few or (*_in_float(chosen.trial), *remarks(chosen.trial))), *warned))


def _in_float(trial: Trial) -> Iterator[str]:
    """What is said where passes before changed the network, and precision did not."""
    if trial.settings.precision == "float32" and trial.settings.structure:
        yield "nothing lower than float32 holds: what the passes before made stays in float32"
