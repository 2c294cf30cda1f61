"""The engine: walks a request down the failover chain. The policy decides (sdk/core/failover.py), this file carries out.

One engine per event loop. Breakers, caches and counters are touched by the loop alone, so nothing here needs a lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import cast

from ...runtimes.isolation import Lane
from ...sdk.core import failover as policy_of
from ...sdk.core.chain_answers import default_outputs, reason_of
from ...sdk.core.errors import EngineError, InputError, PortsideError
from ...sdk.core.failover import Action, Outcome, Policy, made
from ...sdk.core.signature import Array, Signature
from ..records.store import RecordStore
from .answers import Answer, Question, no_answer
from .books import Books
from .books import ChainEntry as ChainEntry
from .cache import CacheEntry, Found
from .chain import ModelEntry
from .consistency import Author, ConsistencyWindow
from .endpoint import EndpointEntry
from .engine_page import gauges, kept_lines
from .kept import CACHED, CONSISTENT, KeptAnswers
from .metrics import Metrics
from .note import About
from .precomputed import PrecomputedEntry
from .reading import Reader
from .tallies import page as queues_page
from .walk import Walk


class Down:
    """Places of the chain whose lane could not begin a call now. Only those that the policy comes to are looked at."""

    __slots__ = ("_lanes",)

    def __init__(self, lanes: Mapping[int, Lane]) -> None:
        self._lanes = lanes

    def __contains__(self, place: object) -> bool:
        lane = self._lanes.get(cast("int", place))
        return lane is not None and not lane.ready


class Engine:
    """Answers questions.

    Args:
        entries: the champion first, then the chain.
        policy: one entry of the policy for each of them.
        records: where records go; None: nowhere.
        deployment, name: its digest and its name, for records.
        metrics: counters to go on with, which `report` then makes show this engine; a fresh object by default.
        max_rows: more rows in one request are refused.
        consistency: what was answered to whom; None: every request is answered anew.
        traits: records hold figures of images, texts and sound.
        borrowed: the entries are another engine's, which closes them.
        champion: whose signature callers see, where it is not the first entry: that of a rollout's challenger.
        reader: reads questions; one of its own by default.

    Attributes:
        inflight: questions that are being answered.
        prompt: most answers need not wait for anything, and nothing on the way asks for the current task, as clients of endpoints do.
    """

    BOOKS = Books

    def __init__(self, entries: tuple[ChainEntry, ...], policy: Policy, *, records: RecordStore | None = None,
                 deployment: str = "", name: str = "", metrics: Metrics | None = None, max_rows: int = 4096,
                 consistency: ConsistencyWindow | None = None, traits: bool = True, borrowed: bool = False,
                 champion: ModelEntry | None = None, reader: Reader | None = None) -> None:  # fmt: skip
        self.entries, self.policy, self.records, self.consistency = entries, policy, records, consistency
        self.metrics, self.inflight, self._borrowed = metrics or Metrics(), 0, borrowed
        self.champion = champion or cast("ModelEntry", entries[0])
        self._models = [(place, entry) for place, entry in enumerate(entries) if isinstance(entry, ModelEntry)]
        if metrics is None:
            self.report()
        self._breakers = policy_of.start(policy)
        self._down = Down({place: entry.lane for place, entry in self._models})
        self._at_once = {place: entry for place, entry in self._models
                         if entry.queue is None and entry.front == self.champion.front and not entry.taps}  # fmt: skip
        self.prompt = 0 in self._at_once and not any(isinstance(entry, EndpointEntry) for entry in entries)
        self._outputs = [spec.name for spec in self.signature.outputs]
        self._coded = any(spec.categories is not None for spec in self.signature.outputs)
        about = About.of(name, deployment, [self.champion, *(model for _, model in self._models if model is not self.champion)], traits)
        self._books = self.BOOKS(entries, policy.deadline_ms, about, records, self.metrics)
        self._reader = reader or Reader(self.champion, [entry for _, entry in self._models], max_rows)
        self._kept = KeptAnswers(entries, self._books.authors, consistency)

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
        self.inflight += 1
        try:
            walk = await self._reader.read_apart(question) if self._reader.apart else self._reader.read(question)
            if self._kept.concerns(question) and (early := self._kept.early(walk)) is not None:
                walk.found = early.found
                outputs = early.found.outputs
                if early.place >= 0:
                    return self._finish(walk, early.author, outputs, CACHED)
                return self._given(walk, early.author, outputs, CONSISTENT)
            while True:
                walk.began = now = time.monotonic()
                action, self._breakers, walk.request = policy_of.decide(self.policy, self._breakers, walk.request, now * 1e3, self._down)
                if action.do == "give-up":
                    raise no_answer(self._books.unanswered(walk), self._wait_s)
                outputs = await self._take(action, walk)
                if outputs is not None:
                    return self._finish(walk, self._books.authors[action.entry], outputs, walk.request.reason)
        finally:
            self.inflight -= 1

    async def _take(self, action: Action, walk: Walk) -> Mapping[str, Array] | None:
        """Carry out one action and tell the policy; the outputs, or None when the next entry is to be tried."""
        refused: InputError | None = None
        outputs: Mapping[str, Array] | None = None
        try:
            if action.do != "call":
                outputs = self._told(action, walk)
            elif action.entry in self._at_once:
                outputs = self._judged(walk, self._asked(self._at_once[action.entry], walk, action.until_ms))
            else:
                outputs = self._judged(walk, await self._ask(action, walk))
            outcome: Outcome = "answered" if outputs is not None else "miss" if action.do == "look" else "non-finite"
        except PortsideError as error:
            refused = error if isinstance(error, InputError) and self.entries[action.entry] is self.champion else None
            outcome = "answered" if refused else reason_of(error)
        walk.ended = now = time.monotonic()
        before = self._breakers
        self._breakers, walk.request = policy_of.observe(self.policy, before, walk.request, outcome, now * 1e3)
        if self._breakers is not before and self._breakers[action.entry].state == "open":
            self.metrics.opened(action.entry)
        if refused is not None:
            raise refused
        return outputs

    def _asked(self, entry: ModelEntry, walk: Walk, until_ms: float | None) -> Mapping[str, Array]:
        """The answer of a model that runs inline and takes what was read. Raises EngineError, InputError."""
        walk.queue_s = 0.0
        return entry.lane.run_inline(walk.checked.arrays, None if until_ms is None else until_ms / 1e3)

    async def _ask(self, action: Action, walk: Walk) -> Mapping[str, Array]:
        """The answer of a model or an endpoint. Raises EngineError, InputError."""
        entry = self.entries[action.entry]
        until = None if action.until_ms is None else action.until_ms / 1e3
        walk.queue_s = 0.0
        if isinstance(entry, ModelEntry):
            checked = walk.checked if entry.front == self.champion.front else await self._reader.encoded(walk, entry)
            if entry.queue is None:
                outputs = entry.lane.run_inline(checked.arrays, until)
            else:
                outputs = await entry.queue.ask(checked.arrays, until)
                walk.queue_s = entry.queue.waited_s
            if entry.taps:
                walk.tapped_by, walk.tapped = action.entry, {name: outputs[name] for name in entry.taps if name in outputs}
            return outputs
        return await cast("EndpointEntry", entry).ask(walk.question.wire, until, walk.rows)

    def _told(self, action: Action, walk: Walk) -> Mapping[str, Array] | None:
        """What is kept: the answer of a cache, of a table, or the default."""
        entry = self.entries[action.entry]
        if not isinstance(entry, CacheEntry | PrecomputedEntry):
            return default_outputs(cast("Mapping[str, Array]", entry), self.signature, walk.rows)
        walk.found = self._kept.look(walk, entry)
        return None if walk.found is None else walk.found.outputs

    def _judged(self, walk: Walk, outputs: Mapping[str, Array]) -> Mapping[str, Array] | None:
        """The champion's outputs of an answer, unless they hold NaN or infinity where the signature does not allow it: None.

        Raises EngineError for a code that has no name.
        """
        if policy_of.flaw(outputs, self.signature.outputs) is not None:
            return None
        own = {name: outputs[name] for name in self._outputs}
        if self._coded:
            began = time.monotonic()
            walk.named = self.champion.codec.decode(own, self.signature)
            walk.decode_s = time.monotonic() - began
        else:
            walk.named = own
        return own

    def _finish(self, walk: Walk, author: Author, outputs: Mapping[str, Array], reason: str) -> Answer:
        """Keep an answer and give it, or what the entity was told before."""
        held = self._kept.settle(walk, author, outputs) if walk.key is not None else None
        if held is None:
            return self._given(walk, author, outputs, reason)
        walk.found, walk.named = Found(held.outputs, age_ms=held.age_ms), None
        return self._given(walk, held.author, held.outputs, CONSISTENT)

    def _given(self, walk: Walk, author: Author, outputs: Mapping[str, Array], reason: str) -> Answer:
        named = walk.named if walk.named is not None else self.champion.codec.decode(outputs, self.signature)
        receipt = self._books.answered(walk, author, outputs, reason)
        return made(Answer, (named, receipt, walk.checked.flags, None, walk.text if named is outputs else None))

    def report(self) -> None:
        """Let the metrics page show this engine's lanes, queues, breakers, kept answers and records."""
        self.metrics.show(self.gauges, self._lines)

    def gauges(self) -> dict[str, float]:
        """Of its lanes, breakers and records: name with labels -> value."""
        return gauges(self.entries, self._breakers, self.records)

    def _lines(self) -> Iterable[str]:
        queues = {place: entry.queue for place, entry in self._models if entry.queue is not None}
        return [*queues_page(queues), *kept_lines(self.entries, self.consistency)]

    def _wait_s(self) -> float:
        """Seconds until the queue that empties first has room."""
        return min((entry.queue.wait_s() for _, entry in self._models if entry.queue is not None), default=0.0)

    def warm(self, seconds: float) -> None:
        """Wait for worker processes and run one call through every model. Blocking: not for the event loop.

        Raises EngineError when the champion cannot be loaded; other entries may be late, the policy passes over them.
        """
        ends = time.monotonic() + seconds
        for place, entry in self._models:
            try:
                entry.warm(ends)
            except PortsideError as error:
                lost = isinstance(error, EngineError) and error.reason in ("crashed", "deadline")
                if place == 0 and lost and not entry.ready:
                    raise

    def close(self, records: bool = True) -> None:
        """End lanes and workers unless they are another engine's, and the record writer unless another engine goes on with it."""
        for _, entry in () if self._borrowed else self._models:
            entry.close()
        self._reader.close()
        if records and self.records is not None:
            self.records.close()
