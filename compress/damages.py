"""How much each node of a class hurts, measured once per search and kept beside its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..sdk.core.plan import Precision, PrecisionPlan
from .clock import Clock
from .sensitivity import sensitivity
from .settings import Settings
from .trial_store import TrialStore
from .trials import Workbench

SHARE = 0.15
"""Of the whole time, what a class's sensitivity may take; nodes that are not reached are not kept in float32."""


@dataclass
class Damages:
    """Class -> node -> damage, see `sensitivity`.

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
    known: dict[Precision, dict[str, float]] = field(default_factory=dict[Precision, dict[str, float]])

    def of(self, precision: Precision) -> dict[str, float]:
        """Damage of a class's nodes, largest first."""
        if precision not in self.known:
            self.known[precision] = self.store.damages(precision) or self._measured(precision)
        return self.known[precision]

    def of_plan(self, plan: PrecisionPlan) -> dict[str, float]:
        """Damage of the nodes that a plan lowers; all are of one class."""
        return self.of(next(held for held in plan.nodes.values() if held != "float32"))

    def order(self, precision: Precision) -> Sequence[str]:
        """Nodes that hurt at all, the worst first."""
        return [name for name, held in self.of(precision).items() if held > 0]

    def _measured(self, precision: Precision) -> dict[str, float]:
        settings, bench, clock = Settings(precision), self.bench, self.clock
        until = min(clock.spent + SHARE * clock.seconds, clock.seconds)
        plan = bench.plans.plan(settings, bench.calibration if settings.calibrated else None)
        found = sensitivity(bench.package, plan, bench.calibration_data, seed=bench.seed, progress=bench.progress,
                            late=lambda: clock.spent >= until)  # fmt: skip
        if len(found) == len(plan.nodes):
            self.store.keep_damages(precision, found)
        else:
            self.notes.append(f"sensitivity of {precision}: {len(found)} of {len(plan.nodes)} nodes in the time there was")
        return found
