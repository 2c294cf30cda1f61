"""What a worker holds in one phase of a rollout: the challenger's chain, loaded and warm, or its shadows, or neither.

A stand is replaced as a whole, between two requests; what the new one does not need ends when its last request has. Models that nobody
is given are not in memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from ...sdk.core.errors import PortsideError
from ...sdk.core.failover import Entry, Policy
from ..answering.absent import absent
from ..answering.books import ChainEntry
from ..answering.cache import CacheEntry
from ..answering.chain import ModelEntry, open_model
from ..answering.clerk import Clerk
from ..answering.consistency import window_of
from ..answering.metrics import Metrics
from ..deployment.failover import Cache
from ..deployment.resolving import Resolved, ResolvedModel
from ..deployment.traffic import NOBODY, Traffic
from ..records.store import RecordStore
from .agreeing import discrete
from .asking import ShadowModel
from .assigning import GIVEN
from .engines import ArmEngine, DialledArmEngine, Handed
from .shadow import Shadow, Shadows
from .slices import Fields, Segment

log = logging.getLogger("portside.rollout")
HANGS_MS, TIMES = 10_000.0, 4.0
"""Without a deadline: when a call of the challenger is given up; where answers have a limit, after so many times that."""
PAUSE_S = 0.5


@dataclass(frozen=True)
class Stand:
    """What requests are answered by.

    Attributes:
        traffic: what the controller wants.
        arm: the challenger's chain; None: nobody is given it.
        entry: the challenger in it.
        segment: rows that are tried; None: all.
        shadows: None: there are none.
        fault: why the challenger could not be opened, or "".
    """

    traffic: Traffic = NOBODY
    arm: ArmEngine | None = None
    entry: ModelEntry | None = None
    segment: Segment | None = None
    shadows: Shadows | None = None
    fault: str = ""


@dataclass(frozen=True)
class Grounds:
    """What all stands of one engine are made of.

    Attributes:
        entries: of the champion's chain.
        clerk: of the champion's arm; None: there is no dial.
        handed: how arms get what was read.
        crowded: requests are under way.
        metrics: of the challenger's arm.
    """

    resolved: Resolved
    entries: tuple[ChainEntry, ...]
    policy: Policy
    records: RecordStore
    clerk: Clerk | None
    handed: Handed
    crowded: Callable[[], bool]
    metrics: Metrics
    fields: Fields

    def stand(self, traffic: Traffic, before: Stand) -> Stand:
        """The stand of this traffic. What `before` has open already is taken over. Blocking: loads and warms."""
        held = {model.digest: model for model in self.resolved.challengers}
        named = [held[digest] for digest in traffic.challengers if digest in held]
        if len(named) < len(traffic.challengers):
            log.warning("The rollout %s names a challenger that this deployment does not: nobody is given it", traffic.rollout)
        if traffic.shadows and named:
            return Stand(traffic, shadows=self._shadows(named, traffic, before))
        if traffic.phase not in GIVEN or len(named) != 1 or len(traffic.challengers) != 1:
            return Stand(traffic)
        if traffic.phase == "promoted" and named[0].digest == self.resolved.champion.digest:
            return Stand(traffic)  # the file says so too: it answers as the champion that it is, and the dial's thresholds are its own
        segment = None if traffic.segment is None else Segment(traffic.segment, self.resolved.signature)
        if before.arm is not None and before.entry is not None and before.entry.digest == named[0].digest and not before.fault:
            return replace(before, traffic=traffic, segment=segment)
        return self._given(named[0], traffic, segment)

    def _given(self, model: ResolvedModel, traffic: Traffic, segment: Segment | None) -> Stand:
        fault = ""
        try:
            entry = open_model(model)
        except PortsideError as error:
            fault, entry = str(error), absent(model, str(error))
        else:
            fault = warmed(entry, self.resolved.deployment.server.warm_up_s)
        if fault:
            log.error("The challenger cannot be loaded, the champion answers for it: %s", fault)
        return Stand(traffic, self._engine(entry), entry, segment, None, fault)

    def _engine(self, entry: ModelEntry) -> ArmEngine:
        """The challenger, the champion, and the rest of its chain; with caches and a window of its own."""
        resolved, deployment = self.resolved, self.resolved.deployment
        chain = [CacheEntry(settings) if isinstance(settings, Cache) else held
                 for held, settings in zip(self.entries, resolved.entries, strict=True)]  # fmt: skip
        kind = ArmEngine if self.clerk is None else partial(DialledArmEngine, clerk=self.clerk.beside())
        made = kind((entry, *chain), tried(self.policy, deployment_limit(resolved)), records=self.records, deployment=resolved.digest,
                    name=deployment.name, max_rows=deployment.server.max_rows, traits=deployment.records.traits, metrics=self.metrics,
                    consistency=window_of(deployment.consistency, resolved.signature), borrowed=True,
                    champion=cast("ModelEntry", self.entries[0]), reader=self.handed)  # fmt: skip
        made.try_first()
        made.books.fields = self.fields
        return made

    def _shadows(self, models: Sequence[ResolvedModel], traffic: Traffic, before: Stand) -> Shadows:
        if before.shadows is not None and before.traffic.rollout == traffic.rollout and before.traffic.challengers == traffic.challengers:
            return before.shadows
        deployment, signature = self.resolved.deployment, self.resolved.signature
        limit = deployment_limit(self.resolved)
        limit_s, deadline_ms, specs = None if limit is None else limit / 1e3, deployment.failover.deadline_ms, discrete(signature)
        made = [Shadow(ShadowModel(model, signature, limit_s), traffic.rollout, self.records, specs, self.fields, deadline_ms,
                       self.crowded, 1.0 / len(models)) for model in models]  # fmt: skip
        return Shadows(made, self.resolved.champion.front)


def deployment_limit(resolved: Resolved) -> float | None:
    """Milliseconds after which an answer is late; None: never."""
    rollout = resolved.deployment.rollout
    own = None if rollout is None else rollout.limits.latency_ms
    return own or resolved.deployment.failover.deadline_ms


def tried(policy: Policy, limit_ms: float | None) -> Policy:
    """The policy of the challenger's chain. Without a deadline it has a time of its own: a call that hangs must end."""
    own = None if policy.deadline_ms is not None else HANGS_MS if limit_ms is None else TIMES * limit_ms
    return replace(policy, chain=(Entry("model", own), *policy.chain))


def warmed(entry: ModelEntry, seconds: float) -> str:
    """Wait until it can be asked, and ask it once; why not, or "". Where it only comes later it is passed over until then."""
    try:
        entry.warm(time.monotonic() + seconds)
    except PortsideError as error:
        return str(error)
    return ""


def retire(old: Stand, new: Stand, seconds: float) -> None:
    """End what a stand has open and the next one does not need, when its last request has ended. Returns at once."""
    if old.shadows is not None and old.shadows is not new.shadows:
        threading.Thread(target=old.shadows.close, name="portside-shadow-end", daemon=True).start()
    if old.arm is not None and old.arm is not new.arm:
        threading.Thread(target=_ended, args=(old, seconds), name="portside-arm-end", daemon=True).start()


def _ended(stand: Stand, seconds: float) -> None:
    """Close an arm once nobody is in it. A request that chose it before the exchange may only be about to begin."""
    ends = time.monotonic() + seconds
    time.sleep(min(PAUSE_S, seconds))
    while stand.arm is not None and stand.arm.inflight and time.monotonic() < ends:
        time.sleep(0.02)
    close(stand)


def close(stand: Stand) -> None:
    """End what a stand has open."""
    if stand.shadows is not None:
        stand.shadows.close()
    if stand.entry is not None:
        stand.entry.close()
