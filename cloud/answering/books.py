"""What an answer leaves behind: its receipt, its record, its place in the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ...sdk.core.records import Receipt, Record, new_id
from ...sdk.core.signature import Array, Signature
from ..records.store import RecordStore
from .answers import Question
from .cache import CacheEntry
from .chain import ModelEntry
from .consistency import NOBODY, Author
from .endpoint import EndpointEntry
from .metrics import Metrics
from .precomputed import PrecomputedEntry
from .walk import Walk

ChainEntry: TypeAlias = ModelEntry | CacheEntry | PrecomputedEntry | EndpointEntry | Mapping[str, Array]


class Note(NamedTuple):
    """A draft of a record (see `records.store.Draft`) that is written out in the writer's thread: on the request path it costs a tuple."""

    receipt: Receipt
    question: Question
    author: Author
    flags: tuple[Any, ...]
    server_ms: int
    deployment: tuple[str, str]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Array]
    signature: Signature

    @property
    def record(self) -> Record:
        """The record, without its tensors."""
        question, author = self.question, self.author
        return Record.quick(
            id=self.receipt.record, server_ms=self.server_ms, event_ms=question.event_ms or self.server_ms, entity=question.entity,
            package=author.package, artifact=author.artifact, name=self.deployment[0], deployment=self.deployment[1], arm=author.arm,
            receipt=self.receipt.to_dict(), decided_by=author.decided_by, exposed=question.parent is None, parent=question.parent,
            flags=tuple(flag._asdict() for flag in self.flags) if self.flags else (),
        )  # fmt: skip


class Books:
    """The books of one engine.

    Args:
        entries: of its chain.
        deadline_ms: of its policy.
        deployment: name and digest, for records.
        records: where they go; None: nowhere.

    Attributes:
        authors: who answers, by entry.
    """

    def __init__(self, entries: Sequence[ChainEntry], deadline_ms: float | None, deployment: tuple[str, str], signature: Signature,
                 records: RecordStore | None, metrics: Metrics) -> None:  # fmt: skip
        self._deadline_ms, self._deployment, self._signature = deadline_ms, deployment, signature
        self._records, self._metrics = records, metrics
        if records is not None:
            records.introduce(*deployment, signature)
        self.authors = [author(place, entry) for place, entry in enumerate(entries)]

    def answered(self, walk: Walk, by: Author, outputs: Mapping[str, Array], reason: str) -> Receipt:
        """Enter an answer; its receipt."""
        receipt = self._receipt(walk, by, reason)
        metrics = self._metrics
        metrics.answered(by.model, reason, receipt.time_ms / 1e3, receipt.attempts)
        metrics.stages.passed(walk.encode_s, walk.queue_s, max(walk.ended - walk.began - walk.queue_s - walk.decode_s, 0.0), walk.decode_s)
        if self._records is not None:
            now_ms, (arrays, flags) = time.time_ns() // 1_000_000, walk.checked
            self._records.put(Note(receipt, walk.question, by, flags, now_ms, self._deployment, arrays, outputs, self._signature))
        return receipt

    def unanswered(self, walk: Walk) -> Receipt:
        """Enter a request that nobody could answer."""
        receipt = self._receipt(walk, NOBODY, walk.request.reason)
        self._metrics.answered("none", receipt.reason, receipt.time_ms / 1e3, receipt.attempts)
        return receipt

    def _receipt(self, walk: Walk, by: Author, reason: str) -> Receipt:
        now, found, attempts, deadline = time.monotonic(), walk.found, walk.request.attempts, self._deadline_ms
        spent = (now - walk.question.arrived) * 1e3
        return Receipt(
            by.model, by.version, by.target, by.place, reason, tuple([f"{a.entry}:{a.reason}" for a in attempts]) if attempts else (),
            spent, (now - walk.began) * 1e3, deadline, deadline is None or spent <= deadline, found is not None and found.stale,
            new_id() if self._records is not None else "", None if found is None else found.age_ms,
        )  # fmt: skip


def author(place: int, entry: ChainEntry) -> Author:
    """Who an entry is, for receipts and records."""
    arm = "champion" if place == 0 else "fallback"
    if isinstance(entry, ModelEntry):
        return Author(place, entry.name, entry.digest, entry.target, entry.digest, entry.artifact, arm, "model")
    if isinstance(entry, EndpointEntry):
        return Author(place, entry.name, "", "endpoint", "", "", arm, "model")
    if isinstance(entry, CacheEntry | PrecomputedEntry):
        return Author(place, entry.name, entry.version, entry.target, "", "", arm, entry.target)
    return Author(place, "default", "", "default", "", "", arm, "default")
