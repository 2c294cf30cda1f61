"""What an answer leaves behind: its receipt, its record, its place in the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ...sdk.core.failover import made
from ...sdk.core.records import Receipt, new_id
from ...sdk.core.signature import Array
from ..records.store import RecordStore
from .answers import overloaded
from .cache import CacheEntry
from .chain import ModelEntry
from .consistency import NOBODY, Author
from .endpoint import EndpointEntry
from .metrics import Metrics
from .note import NOTHING, About, Note
from .precomputed import PrecomputedEntry
from .small_rows import SmallRows
from .walk import Walk

ChainEntry: TypeAlias = ModelEntry | CacheEntry | PrecomputedEntry | EndpointEntry | Mapping[str, Array]


class Books:
    """The books of one engine.

    Args:
        entries: of its chain.
        deadline_ms: of its policy.
        about: what all its records have in common.
        records: where they go; None: nowhere.

    Attributes:
        authors: who answers, by entry.
        more: records hold more than a note does.
    """

    more = False

    def __init__(self, entries: Sequence[ChainEntry], deadline_ms: float | None, about: About, records: RecordStore | None,
                 metrics: Metrics) -> None:  # fmt: skip
        self._deadline_ms, self._about = deadline_ms, about
        self._records, self._metrics = records, metrics
        self._small = SmallRows(about, 0 if records is None or self.more else records.few_bytes)
        if records is not None:
            records.introduce(about.name, about.digest, about.signature)
        self.authors = [author(place, entry) for place, entry in enumerate(entries)]

    def answered(self, walk: Walk, by: Author, outputs: Mapping[str, Array], reason: str) -> Receipt:
        """Enter an answer; its receipt."""
        receipt = self._receipt(walk, by, reason)
        metrics = self._metrics
        metrics.answered(by.model, reason, receipt.time_ms / 1e3, receipt.attempts)
        metrics.stages.passed(walk.encode_s, walk.queue_s, max(walk.ended - walk.began - walk.queue_s - walk.decode_s, 0.0), walk.decode_s)
        if self._records is not None:
            small = self._small
            size = small.size(walk)
            self._records.put(small.made(walk, by, outputs, receipt, size) or self._note(walk, by, outputs, receipt), size)
        return receipt

    def unanswered(self, walk: Walk) -> Receipt:
        """Enter a request that nobody could answer. A fault leaves a record without outputs; an overload has no time for one."""
        receipt = self._receipt(walk, NOBODY, walk.request.reason)
        self._metrics.answered("none", receipt.reason, receipt.time_ms / 1e3, receipt.attempts)
        if self._records is None or (not overloaded(receipt) and self._records.put(self._bare(walk, NOBODY, NOTHING, receipt))):
            return receipt
        return replace(receipt, record="")

    def _note(self, walk: Walk, by: Author, outputs: Mapping[str, Array], receipt: Receipt) -> Note:
        """The answer as a draft of its record. What it keeps alive of the request is what the record will hold."""
        question, (arrays, flags), about = walk.question, walk.checked, self._about
        tapped = walk.tapped if walk.tapped and walk.tapped_by == by.place and walk.found is None else NOTHING
        sent = {name: question.wire[name] for name in about.texts if name in question.wire} if about.texts else NOTHING
        now_ms = time.time_ns() // 1_000_000
        return made(Note, (receipt, question.entity, question.event_ms, question.parent, by, flags, now_ms, about, arrays, outputs, tapped,
                           sent))  # fmt: skip

    _bare = _note
    """The same of a request that nobody answered: an engine with a dial has no routes of it."""

    def _receipt(self, walk: Walk, by: Author, reason: str) -> Receipt:
        now, found, attempts, deadline = time.monotonic(), walk.found, walk.request.attempts, self._deadline_ms
        spent = (now - walk.question.arrived) * 1e3
        return Receipt(
            by.model, by.version, by.target, by.place, reason, tuple([f"{a.entry}:{a.reason}" for a in attempts]) if attempts else (),
            spent, (now - walk.began) * 1e3, deadline, deadline is None or spent <= deadline, found is not None and found.stale,
            new_id() if self._records is not None else "", None if found is None else found.age_ms,
        )  # fmt: skip


def author(place: int, entry: ChainEntry, arm: str = "") -> Author:
    """Who an entry is, for receipts and records. `arm`: where it does not follow from its place in the chain."""
    arm = arm or ("champion" if place == 0 else "fallback")
    if isinstance(entry, ModelEntry):
        return Author(place, entry.name, entry.digest, entry.target, entry.digest, entry.artifact, arm, "model")
    if isinstance(entry, EndpointEntry):
        return Author(place, entry.name, "", "endpoint", "", "", arm, "model")
    if isinstance(entry, CacheEntry | PrecomputedEntry):
        return Author(place, entry.name, entry.version, entry.target, "", "", arm, entry.target)
    return Author(place, "default", "", "default", "", "", arm, "default")
