"""What an answer leaves behind: its receipt, its record, its place in the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ...sdk.core.records import Receipt, Record, new_id
from ...sdk.core.signature import Array, Signature
from ..records.store import Draft, RecordStore
from .cache import CacheEntry
from .chain import ModelEntry
from .endpoint import EndpointEntry
from .metrics import Metrics
from .precomputed import PrecomputedEntry
from .walk import Walk

ChainEntry: TypeAlias = ModelEntry | CacheEntry | PrecomputedEntry | EndpointEntry | Mapping[str, Array]
NOBODY = ("", "", "")


class Books:
    """The books of one engine.

    Args:
        entries: of its chain.
        deadline_ms: of its policy.
        deployment: digest, for records.
        records: where they go; None: nowhere.
    """

    def __init__(self, entries: Sequence[ChainEntry], deadline_ms: float | None, deployment: str, signature: Signature,
                 records: RecordStore | None, metrics: Metrics) -> None:  # fmt: skip
        self._deadline_ms, self._deployment, self._signature = deadline_ms, deployment, signature
        self._records, self._metrics = records, metrics
        self._who = [who(entry) for entry in entries]
        self._digests = [(entry.digest, entry.artifact) if isinstance(entry, ModelEntry) else ("", "") for entry in entries]
        self._decided = ["model" if isinstance(entry, ModelEntry | EndpointEntry) else who(entry)[2] for entry in entries]

    def answered(self, walk: Walk, place: int, outputs: Mapping[str, Array], reason: str) -> Receipt:
        """Enter an answer of the entry at `place`; its receipt."""
        receipt = self._receipt(walk, place, reason)
        self._metrics.answered(receipt.model, reason, receipt.time_ms / 1e3, receipt.attempts)
        if self._records is not None:
            self._records.put(self._draft(walk, place, receipt, outputs))
        return receipt

    def unanswered(self, walk: Walk) -> Receipt:
        """Enter a request that nobody could answer."""
        receipt = self._receipt(walk, -1, walk.request.reason)
        self._metrics.answered("none", receipt.reason, receipt.time_ms / 1e3, receipt.attempts)
        return receipt

    def _receipt(self, walk: Walk, place: int, reason: str) -> Receipt:
        now, found = time.monotonic(), walk.found
        model, version, target = self._who[place] if place >= 0 else NOBODY
        spent = (now - walk.question.arrived) * 1e3
        deadline = self._deadline_ms
        attempts = walk.request.attempts
        return Receipt(
            model, version, target, place, reason, tuple([f"{a.entry}:{a.reason}" for a in attempts]) if attempts else (), spent,
            (now - walk.began) * 1e3 if place >= 0 else 0.0, deadline, deadline is None or spent <= deadline,
            found is not None and found.stale, new_id() if self._records is not None else "", None if found is None else found.age_ms,
        )  # fmt: skip

    def _draft(self, walk: Walk, place: int, receipt: Receipt, outputs: Mapping[str, Array]) -> Draft:
        now_ms, question = time.time_ns() // 1_000_000, walk.question
        flags = walk.checked.flags
        record = Record(
            receipt.record, now_ms, question.event_ms or now_ms, question.entity, *self._digests[place], self._deployment,
            arm="champion" if place == 0 else "fallback", receipt=receipt.to_dict(), decided_by=self._decided[place],
            exposed=question.parent is None, parent=question.parent,
            flags=tuple(flag._asdict() for flag in flags) if flags else (),
        )  # fmt: skip
        return Draft(record, walk.checked.arrays, outputs, self._signature)


def who(entry: ChainEntry) -> tuple[str, str, str]:
    """(model, version, target) of an entry, for receipts."""
    if isinstance(entry, ModelEntry):
        return entry.name, entry.digest, entry.target
    if isinstance(entry, CacheEntry | PrecomputedEntry):
        return entry.name, entry.version, entry.target
    return (entry.name, "", "endpoint") if isinstance(entry, EndpointEntry) else ("default", "", "default")
