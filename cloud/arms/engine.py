"""The engine of a deployment with `[rollout]`: reads a request, gives it an arm, and lets that arm's chain answer.

Both arms are engines of their own over the same entries, so each has breakers, caches and a consistency window of its own; the
challenger's chain goes on to the champion and to everything behind it. While no rollout is under way the champion's engine answers all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ...sdk.core.signature import Signature
from ..answering.answers import Answer, Question
from ..answering.chain import ModelEntry
from ..answering.clerk import Clerk
from ..answering.consistency import ConsistencyWindow
from ..answering.engine import ChainEntry
from ..answering.metrics import Metrics
from ..answering.reading import Reader
from ..deployment.resolving import Resolved
from ..deployment.traffic import Traffic
from ..records.store import RecordStore
from .assigning import CHALLENGER, CHAMPION, assigned
from .engines import ArmEngine, DialledArmEngine, Handed
from .metrics import ArmMetrics, arm_lines, state_gauges
from .slices import Fields
from .standing import Grounds, Stand, close, retire
from .watching import Watch


class RolloutEngine:
    """Answers questions.

    Args:
        resolved: a deployment with challengers.
        entries: of the champion's chain, opened; this engine closes them.
        records: where records go.
        clerk: of the dial, where there is one.
        metrics: counters to go on with.
        consistency: the champion's window.
        folder: where the controller says what is wanted; None: nobody does, and `take` is called by hand.
        draw: a number in [0, 1), anew at each call.

    Attributes:
        inflight: questions that are being answered.
        champion: the engine of the champion's arm.
        stand: what the phase of the rollout needs.
    """

    def __init__(self, resolved: Resolved, entries: tuple[ChainEntry, ...], records: RecordStore, *, clerk: Clerk | None = None,
                 metrics: Metrics | None = None, consistency: ConsistencyWindow | None = None, folder: Path | None = None,
                 draw: Callable[[], float] | None = None) -> None:  # fmt: skip
        self.metrics, self.records, self.inflight, self.stand = metrics or Metrics(), records, 0, Stand()
        deployment, rollout = resolved.deployment, resolved.deployment.rollout
        self._draw = draw or random.Random().random  # noqa: S311  a lottery, not a secret
        self._drain_s, models = deployment.server.drain_s, [entry for entry in entries if isinstance(entry, ModelEntry)]
        self._reader = Reader(models[0], models, deployment.server.max_rows)
        handed, policy = Handed(self._reader), deployment.policy()
        fields = Fields(rollout.slices if rollout is not None else (), resolved.signature)
        self._arms: dict[str, Metrics] = {arm: ArmMetrics(self.metrics, arm == CHALLENGER) for arm in (CHAMPION, CHALLENGER)}
        kind: Any = ArmEngine if clerk is None else partial(DialledArmEngine, clerk=clerk)
        self.champion: ArmEngine = kind(
            entries, policy, records=records, deployment=resolved.digest, name=deployment.name, max_rows=deployment.server.max_rows,
            traits=deployment.records.traits, metrics=self._arms[CHAMPION], consistency=consistency, reader=handed)  # fmt: skip
        self.champion.books.fields = fields
        self._handed, self._tries = handed, clerk is None or not clerk.asleep
        self._grounds = Grounds(resolved, entries, policy, records, clerk, handed, self._crowded, self._arms[CHALLENGER], fields)
        self._watch = None if folder is None else Watch(folder, self.take)
        if metrics is None:
            self.report()

    @property
    def signature(self) -> Signature:
        """What callers see: the champion's, also where the challenger answers."""
        return self.champion.signature

    def window(self, champion: str) -> ConsistencyWindow | None:
        """What a next version goes on with: what that package has answered to whom, where it is the challenger, else the champion's."""
        arm, entry = self.stand.arm, self.stand.entry
        return arm.consistency if arm is not None and entry is not None and entry.digest == champion else self.champion.consistency

    @property
    def traffic(self) -> Traffic:
        """What the controller wants, as far as this worker goes along."""
        return self.stand.traffic

    async def answer(self, question: Question) -> Answer:
        """Give the request its arm, and the answer of that. Raises as Engine.answer does; what one arm refuses the other refuses too."""
        self.inflight += 1
        try:
            walk = await self._reader.read_apart(question) if self._reader.apart else self._reader.read(question)
            stand = self.stand
            engine, walk.arm = self.champion, None
            if stand.arm is not None and self._tries:
                inside = stand.segment is None or stand.segment.holds(walk.checked.arrays)
                walk.arm = arm = assigned(stand.traffic, question.entity, inside, self._draw)
                if arm is not None and arm.assigned == CHALLENGER:
                    engine = stand.arm
            self._handed.hand(walk)
            return await engine.answer(question)  # begins with what was handed over before anything else happens on this loop
        finally:
            self.inflight -= 1

    def take(self, traffic: Traffic) -> None:
        """Go along with what the controller wants. Blocking, until what it needs is loaded; not on the event loop."""
        old = self.stand
        if traffic == old.traffic:
            return
        new = self._grounds.stand(traffic, old)
        if self._watch is not None and self._watch.moved():
            retire(new, old, 0.0)  # it was called off while it was loaded; the next look says what is wanted
            return
        self.stand = new
        self.champion.books.shadows = new.shadows
        retire(old, new, self._drain_s)

    def report(self) -> None:
        """Let the metrics page show both arms."""
        self.metrics.show(self._gauges, self._lines)

    def warm(self, seconds: float) -> None:
        """Make ready: the champion's chain, and what the rollout's phase needs. Blocking. Raises EngineError where the champion is not."""
        self.champion.warm(seconds)
        if self._watch is not None:
            self._watch.begin()

    def close(self, records: bool = True) -> None:
        """End lanes, shadows and workers; the record writer unless another engine goes on with it."""
        if self._watch is not None:
            self._watch.close()
        close(self.stand)
        self._reader.close()
        self.champion.close(records)

    def _crowded(self) -> bool:
        return self.inflight > 0

    def _gauges(self) -> dict[str, float]:
        stand, values = self.stand, self.champion.gauges()
        if stand.entry is not None:
            lane = stand.entry.lane
            values[f'portside_model_ready{{entry="{CHALLENGER}"}}'] = float(lane.ready)
            values[f'portside_worker_restarts{{entry="{CHALLENGER}"}}'] = float(max(getattr(lane.session, "restarts", 0), 0))
        return values | state_gauges(stand.traffic, stand.fault)

    def _lines(self) -> Iterable[str]:
        shadows = self.stand.shadows
        return [*self.champion.lines(), *arm_lines(self._arms), *(shadows.lines() if shadows is not None else ())]
