"""Of the nodes that go back into float32, as few and as cheap ones as hold: between the number that does and half of it, which does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .rungs import Rung, dearer, holds
from .settings import Settings
from .trials import Trial

SPARED = 3
"""Nodes at most that are tried without."""


@dataclass(frozen=True)
class Doubled:
    """Settings, nodes that hurt in them, the worst first, and how many of these are kept in float32 just now."""

    base: Settings
    order: Sequence[str]
    count: int

    def settings(self, count: int) -> Settings:
        """With another number of nodes kept."""
        return self.keeping(self.order[:count])

    def keeping(self, nodes: Sequence[str]) -> Settings:
        """With these nodes kept."""
        return replace(self.base, kept=(*self.base.kept, *nodes))


@dataclass(frozen=True)
class Fewest:
    """The search between two numbers of nodes.

    Attributes:
        doubled: what holds.
        half: the rung with half as many nodes, which does not.
        attempt: makes a rung of settings and the reason for them.
        late: no further rung is begun.
    """

    doubled: Doubled
    half: Trial
    attempt: Callable[[Settings, str], Rung]
    late: Callable[[], bool]

    def of(self, rung: Rung) -> Rung:
        """The cheapest rung that holds, from the one that does; where nothing can be saved, that one."""
        failed, held, below = self.doubled.count // 2, self.doubled.count, self.half
        while held - failed > 1 and dearer(rung.trial, below) and not self.late():
            middle = (failed + held) // 2
            tried = self.attempt(self.doubled.settings(middle), f"{failed} such nodes are too few, {held} are enough")
            if holds(tried.trial):
                rung, held = tried, middle
            else:
                failed, below = middle, tried.trial
        return self._spared(rung, held)

    def _spared(self, rung: Rung, held: int) -> Rung:
        """The rung without nodes that cost in float32 what they are not worth: of those beyond the half, one by one."""
        kept = list(self.doubled.order[:held])
        for name in self.doubled.order[self.doubled.count // 2 : held - 1][:SPARED]:
            if self.late() or not dearer(rung.trial, self.half):
                break
            fewer = [other for other in kept if other != name]
            tried = self.attempt(self.doubled.keeping(fewer), f"{name} may cost more than it helps")
            if holds(tried.trial) and dearer(rung.trial, tried.trial):
                rung, kept = tried, fewer
        return rung
