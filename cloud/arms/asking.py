"""A challenger in the shadow, and what it is asked: one call at a time in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from ...runtimes.base import Cancel, LoadOptions, SessionInfo
from ...runtimes.isolation import Runs
from ...runtimes.isolation_process import Opening, ProcessSession, Restart
from ...sdk.core.chain_answers import reason_of
from ...sdk.core.door import Door
from ...sdk.core.errors import PortsideError
from ...sdk.core.failover import PRIMARY, flaw
from ...sdk.core.signature import Array, Signature
from ..answering.note import About
from ..deployment.resolving import ResolvedModel
from .low import BUSY_S, OPENER

LEAST_S, TIMES = 5.0, 20.0
"""A call is given up after so many times the limit of an answer, and not before so many seconds: it may have waited for a processor."""


class Shown(NamedTuple):
    """What the champion was asked, and what it answered.

    Attributes:
        wire, arrays: as the caller sent it, and as the champion's typed inputs.
        front: of the champion: who has the same takes the same typed inputs.
        outputs: the champion's, typed.
        record: of its answer.
        answer_ms: how long the champion needed.
        at: monotonic seconds.
    """

    wire: Mapping[str, Any]
    arrays: Mapping[str, Any]
    front: str
    rows: int
    outputs: Mapping[str, Array]
    record: str
    entity: str | None
    event_ms: int | None
    about: About
    answer_ms: float
    at: float


class Said(NamedTuple):
    """What the challenger answered. reason: "primary", or why there are no outputs. spent_s: see low.py."""

    outputs: Mapping[str, Array]
    reason: str
    spent_s: float


class Until(Cancel):
    """Raised by itself when a time has passed."""

    def __init__(self, ends: float) -> None:
        self._ends = ends  # before the base sets `cancelled`, which is a question of time here
        super().__init__()

    @property
    def cancelled(self) -> bool:  # type: ignore[override]
        """The time has passed."""
        return time.monotonic() >= self._ends

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        if value:
            self._ends = 0.0


class ShadowModel:
    """One challenger.

    Args:
        model: resolved.
        signature: the champion's, whose outputs count.
        limit_s: within which an answer ought to come; None: there is no such time.
        session: what is asked; by default a process at the lowest priority.
    """

    def __init__(self, model: ResolvedModel, signature: Signature, limit_s: float | None, session: Runs | None = None) -> None:
        self.model, self._signature = model, signature
        self._patience_s = max(LEAST_S, TIMES * (limit_s or 0.0))
        self._door = Door(model.signature)
        self._fields = [wire.name for wire in model.codec.wire_fields(model.signature)]
        self._session: Any = session or _process(model)

    @property
    def ready(self) -> bool:
        """It could be asked now."""
        return bool(getattr(self._session, "ready", True))

    def ask(self, shown: Shown) -> Said:
        """Its answer. Blocking; raises nothing."""
        began = time.monotonic()
        try:
            outputs = self._session.run(self._inputs(shown), Until(began + self._patience_s))
            spent = time.monotonic() - began
            busy = outputs.pop(BUSY_S, None)
            spent = spent if busy is None else min(spent, float(busy[0]))
            own = {spec.name: outputs[spec.name] for spec in self._signature.outputs}
        except PortsideError as error:
            return Said({}, reason_of(error), time.monotonic() - began)
        bad = flaw(own, self._signature.outputs) is not None
        return Said({}, "non-finite", spent) if bad else Said(own, PRIMARY, spent)

    def close(self) -> None:
        """End its process."""
        self._session.close()

    def _inputs(self, shown: Shown) -> Mapping[str, Any]:
        if self.model.front == shown.front:
            return shown.arrays
        wire = {name: shown.wire[name] for name in self._fields if name in shown.wire}
        return self._door.check(self.model.codec.encode(wire)).arrays


def _process(model: ResolvedModel) -> ProcessSession:
    settings, artifact = model.settings, model.artifact
    options = LoadOptions(threads=settings.threads, trust=settings.trust, door=False)
    info = SessionInfo(artifact.signature, artifact.target, artifact.package_digest, artifact.batch_invariant, False, True)
    opening = Opening(OPENER, {"path": str(artifact.path), **asdict(options)})
    return ProcessSession(opening, info, Restart(kill_after_s=settings.kill_after_ms / 1000))
