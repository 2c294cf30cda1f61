"""The agent of a device: answers from its slot and whatever stands behind it, tells home what it may, and keeps itself up to date.

    with Agent("agent.toml") as agent:
        agent.predict({"image": [picture]}).outputs["label"]

Answers wait for nothing: neither for the network, nor for the outbox, nor for an update. One agent owns its folder.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..sdk.core.codec.step import WireField
from ..sdk.core.door_gate import Flag
from ..sdk.core.errors import EngineError, InputError, PortsideError, StoreError
from ..sdk.core.records import Receipt, new_id
from ..sdk.core.signature import Signature
from . import assembling
from .chain import Chain, waits
from .lock import FolderLock
from .outbox_writer import OutboxWriter
from .reporting import Said, memory_bytes, reported, versions, write_status
from .settings import AgentSettings, read
from .telling import Telling, author, owned
from .walking import NoAnswerError, Walk

TURN_S, TRIAL_S = 10.0, 0.5
"""Between two turns of the worker, and while a trial waits for answers."""
log = logging.getLogger("portside.agent")


class Answered(NamedTuple):
    """One answer.

    Attributes:
        outputs: by name, with the signature's batch axes; categories by their names.
        receipt: who answered, why, and what it cost.
        flags: what the door accepted but noticed.
    """

    outputs: dict[str, Any]
    receipt: Receipt
    flags: tuple[Flag, ...] = ()


class Agent:
    """A device in process; `with` closes it. `predict` may be called from any thread.

    Args:
        settings: of an `agent.toml`, or its path.
        background: look for updates, upload, and report from threads of its own. False: answer only.

    Attributes:
        settings: as read.
        over_memory: it takes more than `limits.memory_mb`: whoever runs it ends it, to be started anew.

    Raises:
        FormatError: the file.
        StoreError: another agent runs on the folder, or it cannot be written.
        PortsideError: nothing on this device can answer, and no update could change that.
    """

    def __init__(self, settings: str | Path | AgentSettings, background: bool = True) -> None:
        self.settings = settings if isinstance(settings, AgentSettings) else read(settings)
        self.started_ms, self.over_memory, self.faults = time.time_ns() // 1_000_000, False, dict[str, str]()
        self.counts: Counter[str] = Counter()
        self._lock, self._closing, self._wake = threading.RLock(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._folder = FolderLock(self.settings.root)
        try:
            self._open()
        except BaseException:
            self._let_go()
            raise
        if background:
            self._start()

    @property
    def signature(self) -> Signature | None:
        """Of what answers now; None while nothing does. A new release brings a new object."""
        return self._chain.signature

    @property
    def fields(self) -> Sequence[WireField]:
        """What a caller sends."""
        champion = self._chain.champion
        return champion.codec.wire_fields(champion.signature) if champion else ()

    def predict(self, inputs: Mapping[str, Any], *, entity: str | None = None, event_ms: int | None = None) -> Answered:
        """Answer a batch by wire field.

        Args:
            inputs: wire field -> batch, as the codec takes it.
            entity: who or what it is about, for the record.
            event_ms: when it happened, Unix milliseconds; None: now.

        Raises:
            InputError: codec or door of the first model refuse it; no backup is asked.
            EngineError: nothing could answer; `reason` "busy" where a moment later something may, "closed" after `close`.
        """
        arrived = time.monotonic()
        chain = self._enter()
        try:
            walk = Walk(chain, inputs, arrived)
            walk.go(self.settings.escalate)
            receipt = self._receipt(walk)
            self._note(walk, receipt, entity, event_ms)
            if walk.place < 0:
                raise NoAnswerError(receipt)
            named = walk.champion.codec.decode(walk.outputs, walk.champion.signature)
            return Answered(dict(named), receipt, walk.checked.flags)
        except InputError:
            self.counts["refused"] += 1
            raise
        finally:
            chain.leave()

    def rollback(self) -> None:
        """Go back to the release before, or end the trial; without a network. Raises StoreError where there is none."""
        self.updates.installer.rollback()
        self._follow()

    def status(self) -> dict[str, Any]:
        """What runs here, JSON-ready."""
        return reported(Said(self.settings, self._chain, self.updates, self.outbox, self.writer, self.uploader, dict(self.counts),
                             self.started_ms, "; ".join(self.faults.values())))  # fmt: skip

    def close(self) -> None:
        """End orderly: what was told is on the disk, and the next start knows that this stop was asked for."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(10.0)
        if self._threads:
            self.telling.event("stopped")
            self.telling.tick(closing=True)
        if self.uploader is not None:
            self.uploader.close()
        self.updates.judge.end()
        self.writer.close()
        with suppress(PortsideError, OSError):
            write_status(self.settings.root, {**self.status(), "stopped": True})
            (self.settings.root / "clean").touch()
        self._let_go()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _open(self) -> None:
        settings = self.settings
        self.updates = assembling.updating(settings, self._closing.is_set)
        self._clean = assembling.clean_stop(settings.root)
        boot = self.updates.installer.boot(self._clean)
        for note in boot.notes:
            log.warning("Repaired at the start: %s", note)
        self._chain = Chain(settings, self._slot())
        self._loaded, self._refused = self.updates.installer.update.active, self.updates.installer.update.refused
        if self._slot() is not None and self._chain.slot_fault:
            self._back(self._chain.slot_fault)
        if self._chain.champion is None and (settings.updates is None or not all(map(waits, self._chain.model_faults))):
            raise EngineError("Nothing on this device can answer", got="; ".join(self._chain.model_faults),
                              fix="Give the chain an artifact, or [updates] a release to install, or: portside edge install.")  # fmt: skip
        self.outbox = assembling.outbox(settings)
        self.uploader = assembling.uploader(settings, self.outbox, lambda: versions(self.updates.installer.update), self._desired)
        self.writer = OutboxWriter(self.outbox)
        self.telling = Telling(settings, self.writer)

    def _start(self) -> None:
        self.telling.event("started", clean=self._clean, settings=self.settings.digest)
        if self.uploader is not None:
            self.uploader.start()
        self._threads = [threading.Thread(target=self._update, name="portside-updates", daemon=True),
                         threading.Thread(target=self._keep_house, name="portside-agent", daemon=True)]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def _let_go(self) -> None:
        """Close what is open, and the folder last."""
        if hasattr(self, "_chain"):
            self._chain.retire()
        if hasattr(self, "outbox"):
            self.outbox.close()
        self._folder.close()

    def _enter(self) -> Chain:
        while not self._closing.is_set():
            chain = self._chain
            if chain.enter():
                return chain
        raise EngineError("The agent is closed", reason="closed")

    def _receipt(self, walk: Walk) -> Receipt:
        now, deadline, found = time.monotonic(), self.settings.failover.deadline_ms, walk.found
        model, package, target, _, _ = author(walk)
        spent = (now - walk.arrived) * 1e3
        attempts = tuple(f"{attempt.entry}:{attempt.reason}" for attempt in walk.request.attempts)
        return Receipt(model, package, target, walk.place, walk.reason, attempts, spent, (now - walk.began) * 1e3, deadline,
                       deadline is None or spent <= deadline, found is not None and found.stale, new_id(),
                       None if found is None else found.age_ms)  # fmt: skip

    def _note(self, walk: Walk, receipt: Receipt, entity: str | None, event_ms: int | None) -> None:
        """Count it, tell of it, and show it to a trial where the active release has answered."""
        self.counts["unanswered" if walk.place < 0 else "answered"] += 1
        self.counts["uncertain"] += walk.uncertain
        self.telling.told(walk, receipt, entity, event_ms)
        if self.updates.trying and walk.place == walk.chain.place and self.settings.failover.chain[walk.place].slot:
            self.updates.show(owned(walk.checked.arrays), owned(walk.outputs))

    def _update(self) -> None:
        """Updates, in a thread of their own: a download may last an hour."""
        while not self._closing.is_set():
            went = self._went("updates", lambda: (self.updates.turn(), self._follow()))
            pause = TRIAL_S if self.updates.trying else min(TURN_S, self.updates.due - time.monotonic())
            self._wake.wait(max(0.05, pause) if went else TURN_S)
            self._wake.clear()

    def _keep_house(self) -> None:
        """Summaries, the file by which others see how it stands, and a look at itself."""
        while not self._closing.is_set():
            self._went("house", lambda: (self.telling.tick(), self._look_at_itself()))
            self._closing.wait(TURN_S)

    def _went(self, what: str, turn: Callable[[], object]) -> bool:
        """Whatever goes wrong in a turn is said, and the next one comes: nothing done here is on the way of an answer."""
        try:
            turn()
        except Exception as error:  # recorded: a full disk must not end it
            log.warning("%s: %s", what, error)
            self.faults[what] = f"{type(error).__name__}: {error}"
            return False
        self.faults.pop(what, None)
        return True

    def _follow(self) -> None:
        """Answer from the slot that is active now; go back to the one before where it cannot be opened."""
        with self._lock:
            refused = self.updates.installer.update.refused
            if refused and refused != self._refused:
                self.telling.event("rolled-back", release=refused[-1].wanted.release, why=refused[-1].why)
            self._refused = refused
            self._switch()

    def _switch(self) -> None:
        active = self.updates.installer.update.active
        if active == self._loaded:
            return
        before, held = self._chain, self._loaded
        self._loaded = active
        if active is not None and held is not None and (active.slot, active.wanted.release) == (held.slot, held.wanted.release):
            return
        fresh = Chain(self.settings, self._slot(), before)
        if (fault := fresh.slot_fault) and before.champion is not None:
            fresh.retire(before)
            self._back(fault)
            return
        self._chain = fresh
        before.retire(fresh)
        if active is not None:
            self.telling.event("release", release=active.wanted.release, sequence=active.wanted.sequence, why="")

    def _back(self, fault: str) -> None:
        """The active slot cannot be opened: the release before answers, where there is one."""
        log.error("The active release cannot be opened: %s", fault)
        with suppress(StoreError):
            self.updates.installer.rollback()
            self._loaded = self.updates.installer.update.active
            before, self._chain = self._chain, Chain(self.settings, self._slot(), self._chain)
            before.retire(self._chain)

    def _slot(self) -> Path | None:
        installer = self.updates.installer
        return None if installer.update.active is None else installer.slots.artifact(installer.update.active.slot)

    def _look_at_itself(self) -> None:
        limit, before = self.settings.limits.memory_mb, self.over_memory
        self.over_memory = before or (limit is not None and memory_bytes() > limit * (1 << 20))
        if self.over_memory and not before:
            log.error("The agent takes more than %g MB of memory", limit)
            self.telling.event("over memory", memory_bytes=memory_bytes())
        write_status(self.settings.root, self.status())

    def _desired(self, release: str) -> None:
        self.updates.desired(release)
        self._wake.set()
