"""The engine: walks a request down the failover chain. The policy decides (sdk/core/failover.py), this file carries out.

One engine per event loop. Breakers, cache and counters are touched by the loop alone, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from ...runtimes.isolation import statistics
from ...sdk.core import failover as policy_of
from ...sdk.core.door import Checked
from ...sdk.core.errors import EngineError, InputError, PortsideError
from ...sdk.core.failover import Action, Outcome, Policy
from ...sdk.core.records import Receipt, Record, new_id
from ...sdk.core.signature import Array, Signature
from ..records.store import Draft, RecordStore
from .answers import Answer, NoAnswerError, Question
from .chain import CacheEntry, ModelEntry, content_key, default_outputs, reason_of, rows_of
from .endpoint import EndpointEntry
from .metrics import Metrics
from .tallies import page as queues_page

ChainEntry: TypeAlias = ModelEntry | CacheEntry | EndpointEntry | Mapping[str, Array]


@dataclass
class _Walk:
    """One request on its way: what was encoded so far by front, the content key, the outputs with names of categories."""

    question: Question
    request: policy_of.Request
    fronts: dict[str, Checked] = field(default_factory=dict[str, Checked])
    key: bytes | None = None
    stale: bool = False
    began: float = 0.0
    named: Mapping[str, Array] | None = None


class Engine:
    """Answers questions.

    Args:
        entries: the champion first, then the chain.
        policy: one entry of the policy for each of them.
        records: where records go; None: nowhere.
        deployment: digest, for records.
        metrics: counters; a fresh object by default.
        max_rows: more rows in one request are refused.
    """

    def __init__(self, entries: tuple[ChainEntry, ...], policy: Policy, *, records: RecordStore | None = None,
                 deployment: str = "", metrics: Metrics | None = None, max_rows: int = 4096) -> None:  # fmt: skip
        self.entries, self.policy, self.records = entries, policy, records
        self.metrics = metrics or Metrics(self._gauges)
        queues = {place: entry.queue for place, entry in enumerate(entries) if isinstance(entry, ModelEntry) and entry.queue is not None}
        self.champion = cast("ModelEntry", entries[0])
        self.metrics.pages.append(lambda: queues_page(queues))
        self._breakers, self._deployment, self._max_rows = policy_of.start(policy), deployment, max_rows
        self._decoders = ThreadPoolExecutor(2, thread_name_prefix="portside-decode")
        self._cache = next((entry for entry in entries if isinstance(entry, CacheEntry)), None)

    @property
    def signature(self) -> Signature:
        """What callers see."""
        return self.champion.signature

    async def answer(self, question: Question) -> Answer:
        """Walk the chain until something answers.

        Raises:
            InputError: the champion's codec or door refuses the request; no backup is asked.
            NoAnswerError: everything failed and there is no default.
        """
        walk = _Walk(question, policy_of.Request(question.arrived * 1e3))
        checked = await self._encoded(walk, self.champion)
        rows = rows_of(checked.arrays, self.signature)
        if rows > self._max_rows:
            first = self.signature.inputs[0].name
            raise InputError(f"There are too many rows in {first!r}", field=first, got=rows, expected=f"at most {self._max_rows}",
                             fix="Send them in several requests.")  # fmt: skip
        if self._cache is not None:
            walk.key = content_key(checked.arrays)
        while True:
            down = [place for place, entry in enumerate(self.entries) if isinstance(entry, ModelEntry) and not entry.ready]
            now = time.monotonic() * 1e3
            action, self._breakers, walk.request = policy_of.decide(self.policy, self._breakers, walk.request, now, down)
            if action.do == "give-up":
                raise self._no_answer(walk)
            walk.began = time.monotonic()
            outputs = await self._take(action, walk, rows)
            if outputs is not None:
                return self._finish(walk, action.entry, outputs, checked)

    async def _take(self, action: Action, walk: _Walk, rows: int) -> Mapping[str, Array] | None:
        """Carry out one action and tell the policy; the outputs, or None when the next entry is to be tried."""
        refused: InputError | None = None
        outputs: Mapping[str, Array] | None = None
        try:
            outputs, outcome = await self._ask(action, walk, rows)
        except PortsideError as error:
            refused = error if isinstance(error, InputError) and action.entry == 0 else None
            outcome = cast("Outcome", "answered" if refused else reason_of(error))
        now = time.monotonic() * 1e3
        self._breakers, walk.request = policy_of.observe(self.policy, self._breakers, walk.request, outcome, now)
        if refused is not None:
            raise refused
        return outputs

    async def _ask(self, action: Action, walk: _Walk, rows: int) -> tuple[Mapping[str, Array] | None, Outcome]:
        entry = self.entries[action.entry]
        until = None if action.until_ms is None else action.until_ms / 1e3
        if isinstance(entry, ModelEntry):
            checked = await self._encoded(walk, entry)
            return self._judged(walk, await entry.ask(checked.arrays, until))
        if isinstance(entry, EndpointEntry):
            return self._judged(walk, await entry.ask(walk.question.wire, until, rows))
        if isinstance(entry, CacheEntry):
            found = entry.get(walk.key) if walk.key is not None else None
            if found is None:
                return None, "miss"
            outputs, walk.stale = found
            return outputs, "answered"
        return default_outputs(entry, self.signature, rows), "answered"

    def _judged(self, walk: _Walk, outputs: Mapping[str, Array]) -> tuple[Mapping[str, Array] | None, Outcome]:
        """The champion's outputs of an answer, unless they hold NaN or infinity where the signature does not allow it.

        Raises EngineError for a code that has no name.
        """
        if policy_of.flaw(outputs, self.signature.outputs) is not None:
            return None, "non-finite"
        own = {spec.name: outputs[spec.name] for spec in self.signature.outputs}
        walk.named = self.champion.codec.decode(own, self.signature)
        return own, "answered"

    async def _encoded(self, walk: _Walk, entry: ModelEntry) -> Checked:
        """The request as this entry's typed arrays; encoded once for all entries that take the same."""
        if entry.front not in walk.fronts:
            wire = walk.question.wire
            if entry is not self.champion:
                wire = {name: value for name, value in wire.items() if name in entry.fields}
            if entry.blocking:
                checked = await asyncio.get_running_loop().run_in_executor(self._decoders, entry.encode, wire)
            else:
                checked = entry.encode(wire)
            walk.fronts[entry.front] = checked
        return walk.fronts[entry.front]

    def _finish(self, walk: _Walk, place: int, outputs: Mapping[str, Array], checked: Checked) -> Answer:
        receipt = self._receipt(walk, place)
        if self._cache is not None and place == 0 and walk.key is not None:
            self._cache.put(walk.key, outputs)
        self.metrics.answered(receipt.model, receipt.reason, receipt.time_ms / 1e3, receipt.attempts)
        if self.records is not None:
            self.records.put(self._draft(walk, place, receipt, outputs, checked))
        named = walk.named if walk.named is not None else self.champion.codec.decode(outputs, self.signature)
        return Answer(named, receipt, checked.flags)

    def _receipt(self, walk: _Walk, place: int) -> Receipt:
        now, request = time.monotonic(), walk.request
        model, version, target = self._who(place)
        spent = (now - walk.question.arrived) * 1e3
        deadline = self.policy.deadline_ms
        return Receipt(
            model, version, target, place, request.reason, tuple(f"{a.entry}:{a.reason}" for a in request.attempts), spent,
            (now - walk.began) * 1e3 if place >= 0 else 0.0, deadline, deadline is None or spent <= deadline, walk.stale,
            new_id() if self.records is not None else "",
        )  # fmt: skip

    def _who(self, place: int) -> tuple[str, str, str]:
        """(model, version, target) of an entry."""
        if place < 0:
            return "", "", ""
        entry = self.entries[place]
        if isinstance(entry, ModelEntry):
            return entry.name, entry.digest, entry.target
        if isinstance(entry, EndpointEntry):
            return entry.name, "", "endpoint"
        kind = "cache" if isinstance(entry, CacheEntry) else "default"
        return kind, "", kind

    def _draft(self, walk: _Walk, place: int, receipt: Receipt, outputs: Mapping[str, Array], checked: Checked) -> Draft:
        entry, now_ms = self.entries[place], time.time_ns() // 1_000_000
        digests = (entry.digest, entry.artifact) if isinstance(entry, ModelEntry) else ("", "")
        record = Record(
            receipt.record, now_ms, walk.question.event_ms or now_ms, walk.question.entity, *digests, self._deployment,
            arm="champion" if place == 0 else "fallback", receipt=receipt.to_dict(),
            decided_by="model" if isinstance(entry, ModelEntry | EndpointEntry) else receipt.target,
            flags=tuple(flag._asdict() for flag in checked.flags),
        )  # fmt: skip
        return Draft(record, checked.arrays, outputs, self.signature)

    def _no_answer(self, walk: _Walk) -> NoAnswerError:
        walk.began = time.monotonic()
        receipt = self._receipt(walk, -1)
        self.metrics.answered("none", receipt.reason, receipt.time_ms / 1e3, receipt.attempts)
        return NoAnswerError(receipt)

    def _gauges(self) -> dict[str, float]:
        """Read when the metrics page is: records, lanes, breakers."""
        values: dict[str, float] = {}
        if self.records is not None:
            values |= {"portside_records_written": self.records.written, "portside_records_lost": self.records.lost}
        for place, entry in enumerate(self.entries):
            if isinstance(entry, ModelEntry):
                label = f'{{entry="{place}"}}'
                seen = statistics(entry.lane)
                values[f"portside_model_ready{label}"] = float(seen["ready"])
                values[f"portside_abandoned_calls{label}"] = seen["abandoned"]
                values[f"portside_worker_restarts{label}"] = seen["restarts"]
                values[f"portside_breaker_open{label}"] = float(self._breakers[place].state != "closed")
        return values

    def warm(self, seconds: float) -> None:
        """Wait for worker processes and run one call through every model. Blocking: not for the event loop.

        Raises EngineError when the champion cannot be loaded; other entries may be late, the policy passes over them.
        """
        ends = time.monotonic() + seconds
        for place, entry in enumerate(self.entries):
            if not isinstance(entry, ModelEntry):
                continue
            try:
                entry.warm(ends)
            except PortsideError as error:
                lost = isinstance(error, EngineError) and error.reason in ("crashed", "deadline")
                if place == 0 and lost and not entry.ready:
                    raise

    def close(self) -> None:
        """End lanes, workers and the record writer."""
        for entry in self.entries:
            if isinstance(entry, ModelEntry):
                entry.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        if self.records is not None:
            self.records.close()
