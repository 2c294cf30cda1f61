"""What a device tells of its answers: records that go home whole, and counts of the others. Made in the outbox's thread, not on the way of
an answer.

Whole go: what nothing could answer ("error"), what was uncertain ("review"), and everything where `agent.toml` says so ("record"). All else
is counted in summaries. `leaving.py` says what of either may leave.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..sdk.core.records import UNANSWERED, Receipt, Record
from ..sdk.core.signature import Array, Signature
from ..sdk.core.traits import as_sent, kept_kinds, traits
from .chain import Cloud, OpenModel
from .kept import Kept
from .leaving import leaving
from .outbox_entry import Entry
from .outbox_writer import OutboxWriter
from .settings import AgentSettings
from .summing import Summaries, SummarySettings
from .walking import UNCERTAIN, Walk

WAITING_BYTES = 64 << 20
"""Of inputs and outputs that may wait for the outbox's thread; what is more is given up, and counted as "busy"."""
Author = tuple[str, str, str, str, str]
"""model, package, target, artifact, decided_by."""


class Telling:
    """Tells of one agent's answers.

    Args:
        writer: of its outbox.
        clock: monotonic seconds.
    """

    def __init__(self, settings: AgentSettings, writer: OutboxWriter, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._writer, self._clock = settings, writer, clock
        self._digest, self._limit = settings.digest, int(settings.outbox.raw_kb * 1024)
        self._waiting, self._lock = 0, threading.Lock()
        self._summaries: Summaries | None = None
        self._held: tuple[OpenModel, tuple[str, ...]] | None = None

    def told(self, walk: Walk, receipt: Receipt, entity: str | None, event_ms: int | None) -> None:
        """Tell of an answer, or that there was none. Never waits, never raises."""
        if walk.place < 0 and {part.partition(":")[2] for part in receipt.attempts} <= {"busy", "miss"}:
            return  # an overload has no time for a record of itself
        signature = walk.champion.signature
        record = self._record(walk, receipt, entity, event_ms)
        size = size_of(walk.checked.arrays) + size_of(walk.outputs)
        if not self._room(size):
            self._writer.outbox.lose("record", "busy")
            return
        inputs, outputs = owned(walk.checked.arrays), owned(walk.outputs)
        sent = {name: walk.wire[name] for name in self._texts(walk.champion) if name in walk.wire}
        whole = "error" if walk.place < 0 else "review" if walk.uncertain else "record" if self._settings.outbox.records == "whole" else ""
        fields = walk.champion.codec.wire_fields  # not the walk itself: what the caller sent would wait too

        def made() -> Entry | None:
            self._room(-size)
            kinds = kept_kinds(signature, fields(signature))
            features = {"traits": traits({**inputs, **sent}, kinds)} if kinds else {}
            full = leaving(record.changed(features=features), inputs, outputs, signature, self._limit)
            return Entry(whole, full.to_dict(), record.id) if whole else self._count(full, signature)

        if not self._writer.put(whole or "summary", made):
            self._room(-size)

    def tick(self, closing: bool = False) -> None:
        """Send a summary whose span is over; call it now and then."""
        self._writer.put("summary", lambda: self._due(closing))

    def event(self, name: str, **said: Any) -> None:
        """Tell that something happened here."""
        self._writer.put("event", Entry("event", {"name": name, "at_ms": time.time_ns() // 1_000_000, **said}))

    def _record(self, walk: Walk, receipt: Receipt, entity: str | None, event_ms: int | None) -> Record:
        now = time.time_ns() // 1_000_000
        _, package, _, artifact, by = author(walk)
        arm = UNANSWERED if walk.place < 0 else "champion" if walk.place == 0 else "fallback"
        return Record.quick(
            id=receipt.record, server_ms=now, event_ms=now if event_ms is None else event_ms, entity=entity, package=package,
            artifact=artifact, deployment=self._digest, name=self._settings.name, arm=arm, selection=1.0 if walk.uncertain else 0.0,
            selection_reason=UNCERTAIN if walk.uncertain else None, decided_by=by, exposed=walk.place >= 0, device=self._settings.device,
            receipt=receipt.to_dict(), flags=tuple(flag._asdict() for flag in walk.checked.flags),
        )  # fmt: skip

    def _count(self, record: Record, signature: Signature) -> Entry | None:
        """Count a record; the summary whose span is over with it, where one is."""
        if self._summaries is None or self._summaries.signature != signature:
            held, outbox = self._due(closing=True), self._settings.outbox
            self._summaries = Summaries(self._settings.name, signature, SummarySettings(outbox.span_s, outbox.least_rows))
            self._summaries.add(record, self._clock())
            return held
        self._summaries.add(record, self._clock())
        return self._due()

    def _due(self, closing: bool = False) -> Entry | None:
        body = self._summaries.due(self._clock(), closing) if self._summaries is not None else None
        return None if body is None else Entry("summary", body)

    def _room(self, size: int) -> bool:
        """Take so many bytes of what may wait, or give them back; False where there are not so many."""
        with self._lock:
            fits = size < 0 or self._waiting + size <= WAITING_BYTES or self._waiting == 0
            self._waiting += size if fits else 0
        return fits

    def _texts(self, model: OpenModel) -> tuple[str, ...]:
        """Fields that are looked at as they were sent; worked out once for a model."""
        held = self._held
        if held is None or held[0] is not model:
            fields = model.codec.wire_fields(model.signature)
            held = self._held = model, as_sent(kept_kinds(model.signature, fields), model.signature, fields)
        return held[1]


def author(walk: Walk) -> Author:
    """Who gave an answer, as receipts and records say it."""
    if walk.place < 0:
        return "", "", "", "", "none"
    entry = walk.chain.entries[walk.place]
    if isinstance(entry, OpenModel):
        return entry.name, entry.digest, entry.target, entry.artifact, "model"
    if isinstance(entry, Cloud):
        return entry.name, "", "endpoint", "", "model"
    kind = "cache" if isinstance(entry, Kept) else "default"
    return kind, "", kind, "", kind


def owned(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Copies: callers use their buffers again, and what is told is made later."""
    return {name: [_own(part) for part in value] if isinstance(value, list) else _own(value) for name, value in arrays.items()}


def size_of(arrays: Mapping[str, Any]) -> int:
    """Bytes of arrays, about."""
    return sum(sum(part.nbytes for part in value) if isinstance(value, list) else value.nbytes for value in arrays.values())


def _own(value: Any) -> Array:
    return np.array(value)
