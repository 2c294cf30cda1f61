"""How much each node of a class hurts, with smoothed activations and without, measured once per search and kept beside its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..sdk.core.plan import PrecisionPlan
from .clock import Clock
from .sensitivity import sensitivity
from .settings import Settings
from .trial_store import TrialStore
from .trials import Workbench

SHARE = 0.15
"""Of the whole time, what a class's sensitivity may take; nodes that are not reached are not kept in float32."""


@dataclass
class Damages:
    """`Settings.lowering` -> node -> damage, see `sensitivity`.

    Args:
        bench: float package, calibration.
        store: where complete measurements are kept.
        clock: of the search.
        notes: gets a line where there was no time for every node.
    """

    bench: Workbench
    store: TrialStore
    clock: Clock
    notes: list[str]
    known: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def of(self, settings: Settings) -> dict[str, float]:
        """Damage of a class's nodes, largest first; which nodes the settings keep does not matter."""
        if (name := settings.lowering) not in self.known:
            self.known[name] = self.store.damages(name) or self._measured(Settings(settings.precision, smooth=settings.smooth))
        return self.known[name]

    def of_plan(self, plan: PrecisionPlan) -> dict[str, float]:
        """Damage of the nodes that a plan lowers; all are of one class."""
        return self.of(Settings(next(held for held in plan.nodes.values() if held != "float32"), smooth=bool(plan.smoothing)))

    def order(self, settings: Settings) -> Sequence[str]:
        """Nodes that hurt at all, the worst first."""
        return [name for name, held in self.of(settings).items() if held > 0]

    def _measured(self, settings: Settings) -> dict[str, float]:
        bench, clock = self.bench, self.clock
        until = min(clock.spent + SHARE * clock.seconds, clock.seconds)
        plan = bench.plan_of(settings)
        found = sensitivity(bench.package, plan, bench.calibration_data, seed=bench.seed, progress=bench.progress,
                            late=lambda: clock.spent >= until)  # fmt: skip
        if len(found) == len(plan.nodes):
            self.store.keep_damages(settings.lowering, found)
        else:
            self.notes.append(f"sensitivity of {settings.lowering}: {len(found)} of {len(plan.nodes)} nodes in the time there was")
        return found
