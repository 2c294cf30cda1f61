"""The queue in front of a model's lane, on the event loop: batches while the lane is busy, and says no before it is too late.

When the lane is idle a call goes at once. While it is busy calls wait; when it is free again the most urgent go, as one
batch where the model allows it (batching.py has the rules). Nothing here is locked: everything but the joining and
splitting of tensors happens on the event loop, and a batch costs one hop to the lane's thread and one back.

A call is refused ("busy") when the queue is full, or when by all that was measured it would miss its deadline in it: it
is the caller's time that would be wasted, and somebody cheaper may still answer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...runtimes.call import Call
from ...runtimes.isolation import Lane
from ...sdk.core.errors import EngineError
from ...sdk.core.signature import Signature
from .alarm import Alarm
from .batch import Batch, Outputs
from .batching import Bounds, Waiting, WaitingQueue
from .joining import Joiner
from .pace import Pace
from .room import Room
from .tallies import Tally

CROWDED_S = 0.002
"""So long after a batch of several calls, a call lets the others of the same turn of the event loop come along."""
MARGIN = 0.8
"""The part of the time that is left which a queue may be expected to take: machines stall, and a late answer helps nobody."""


class Batcher:
    """The queue of one model. Not for lanes that are inline.

    Args:
        lane: where calls run.
        signature: of the model.
        room: limits; `merge` counts only where the session is batch-invariant and its calls can be joined.
        taps: values that the lane gives beside the outputs.

    Attributes:
        waited_s: how long the call that `ask` gave back last had waited; to be read before anything else is awaited.
    """

    def __init__(self, lane: Lane, signature: Signature, room: Room | None = None, taps: Sequence[str] = ()) -> None:
        self._lane, self._joiner, self._room = lane, Joiner(signature, taps), room or Room()
        self.pace, self.tally, self.waited_s = Pace(), Tally(), 0.0
        self.obstacle = self._obstacle()
        self.merge(self._room.merge is True)
        self._queue, self._running = WaitingQueue(), list[Batch]()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm, self._number, self._pumping = Alarm(self._overdue), 0, False
        self._crowded = self._progress = -math.inf

    @property
    def waiting(self) -> WaitingQueue:
        """What waits."""
        return self._queue

    @property
    def inflight(self) -> int:
        """Calls that wait or run."""
        return self._queue.calls + sum(len(batch.calls) for batch in self._running)

    def merge(self, worth: bool) -> None:
        """Whether calls share batches from now on; never against an obstacle."""
        self.merges = worth and not self.obstacle
        self._bounds = self._room.bounds if self.merges else replace(self._room.bounds, max_calls=1)

    def settle(self, pace: Pace, worth: bool) -> None:
        """What was measured while the model warmed up."""
        self.pace = pace
        if self._room.merge is None:
            self.obstacle = self.obstacle or ("" if worth else "batches are not faster")
            self.merge(worth)

    async def ask(self, arrays: Mapping[str, Any], until: float | None) -> Outputs:
        """The model's answer by `until` (monotonic seconds). Raises EngineError, InputError."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        if loop is not self._loop:
            self._bind(loop)
        call = self._admitted(arrays, until, now)
        future: asyncio.Future[Outputs] = loop.create_future()
        call.asked = future
        self._queue.push(call)
        self._alarm.at(call.until)
        self._next(loop, now)
        try:
            outputs = await future
            self.waited_s = call.waited
            return outputs
        except asyncio.CancelledError:
            self._give_up(call)
            raise

    def wait_s(self, rows: int = 1, careful: bool = False) -> float:
        """Seconds until a call that came now would have its answer, as far as is known."""
        width = max(self._lane.capacity, 1)
        queue = self._queue
        batches = math.ceil((queue.rows + rows) / self._bounds.max_rows) if self.merges else queue.calls + 1
        ahead = self.pace.seconds(max(batches, 1), queue.rows + rows, careful) / width
        if len(self._running) < width:
            return ahead
        now = time.monotonic()
        left = min((max(self.pace.seconds(1, batch.rows) - (now - batch.began), 0.0) for batch in self._running), default=0.0)
        return ahead + left

    def close(self) -> None:
        """Refuse what waits. The lane ends what runs."""
        for call in self._queue.clear():
            self._answer(call, EngineError("The session is closed", reason="closed"))

    def _obstacle(self) -> str:
        """Why calls are never joined; "" where they may be."""
        if self._room.merge is False:
            return "switched off"
        if not self._lane.info.batch_invariant:
            return "a row's answer depends on its batch"
        return "" if self._joiner.can else "an input or output has no batch axis, or there is state"

    def _admitted(self, arrays: Mapping[str, Any], until: float | None, now: float) -> Waiting:
        """The call, unless it must be refused. Raises EngineError."""
        joiner, room, queue = self._joiner, self._room, self._queue
        rows, size = joiner.measure(arrays)
        if self._running or queue.calls:
            if queue.calls >= room.max_waiting or (queue.calls and queue.size_bytes + size > room.max_waiting_bytes):
                raise self._busy("full", "Too many calls are waiting", queue.calls)
            if self.inflight >= room.max_inflight:
                raise self._busy("inflight", "Too many calls are under way", room.max_inflight)
            if until is not None and self.pace.known and self.wait_s(rows, careful=True) > MARGIN * (until - now):
                raise self._busy("late", "The queue is longer than the time that is left", queue.calls)
        self._number += 1
        kind = joiner.kind(arrays) if self.merges else ()
        return Waiting(arrays, kind, rows, size, until, self._number, arrived=now)

    def _busy(self, why: str, what: str, got: object) -> EngineError:
        self.tally.shed[why] += 1
        return EngineError(what, reason="busy", got=got)

    def _next(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Run what waits, where the lane is free: at once, unless others were here a moment ago and more may come."""
        full = self._queue.rows >= self._bounds.max_rows
        if not self._queue.calls or len(self._running) >= self._lane.capacity:
            return
        if full or not self.merges or now - self._crowded > CROWDED_S + self._room.max_wait_s:
            self._pump()
        elif not self._pumping:
            self._pumping = True
            if self._room.max_wait_s:
                loop.call_later(self._room.max_wait_s, self._pump)
            else:
                loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Give the lane what it can take."""
        self._pumping = False
        while self._queue.calls and len(self._running) < self._lane.capacity:
            now = time.monotonic()
            calls, late = self._queue.take(self._fitting(now), now)
            for call in late:
                self._late(call)
            if calls:
                self._run(calls, now)

    def _fitting(self, now: float) -> Bounds:
        """The bounds, narrowed so that the most urgent call can still have its answer in time."""
        left = self._queue.next_deadline() - now
        if not self.merges or left == math.inf or not self.pace.row_s:
            return self._bounds
        rows = self.pace.rows_within(left)
        return self._bounds if rows >= self._bounds.max_rows else replace(self._bounds, max_rows=max(rows, 1))

    def _run(self, calls: list[Waiting], now: float) -> None:
        rows = sum(call.rows for call in calls)
        for call in calls:
            call.waited = now - call.arrived
        self.tally.ran(len(calls), rows, sum(call.waited for call in calls))
        batch = Batch(calls, rows, now)
        self._running.append(batch)
        inputs: Any = calls[0].arrays if len(calls) == 1 else lambda: self._joiner.join([call.arrays for call in calls])
        batch.call = self._lane.submit(inputs, batch.latest, lambda call: self._landed(batch, call), self._freed)

    def _landed(self, batch: Batch, call: Call) -> None:
        """In the lane's thread (or this one, when the call is refused or given up): take the outputs apart, tell the loop."""
        batch.land(call.outcome, self._joiner)
        self._tell(self._ended, batch)

    def _tell(self, what: Any, *args: Any) -> None:
        """Run `what` on the loop; where the loop has ended nobody waits any more, and only the books are kept."""
        loop = self._loop
        try:
            assert loop is not None  # noqa: S101  calls come from `ask`
            loop.call_soon_threadsafe(what, *args)
        except RuntimeError:
            self._running = [batch for batch in self._running if batch not in args]

    def _freed(self) -> None:
        self._tell(self._pump)

    def _ended(self, batch: Batch) -> None:
        """A batch has its outcome: answer its calls, then let the next one run."""
        if batch.over:
            return
        batch.over = True
        if batch in self._running:
            self._running.remove(batch)
        results, now = batch.results, time.monotonic()
        if len(batch.calls) > 1:
            self._crowded = now
        if not isinstance(results, Exception):
            self.pace.saw(batch.rows, now - batch.began)
            self._progress = now
            for call, outputs in zip(batch.calls, results, strict=True):
                self._answer(call, outputs)
        elif batch.stranger():
            self._again(batch.calls)
        else:
            for call in batch.calls:
                self._answer(call, results)
        if self._loop is not None:
            self._next(self._loop, now)

    def _again(self, calls: list[Waiting]) -> None:
        """One row may have spoilt the batch: each call is run by itself."""
        self.tally.again += len(calls)
        for call in calls:
            if not call.gone:
                call.alone = True
                self._queue.push(call)

    def _answer(self, call: Waiting, outcome: Outputs | Exception) -> None:
        call.gone = True
        future = call.asked
        if not future.done():
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _late(self, call: Waiting) -> None:
        """Its time passed in the queue: an overload where others had answers meanwhile, else the model is stuck."""
        self.tally.late += 1
        reason = "busy" if self._progress >= call.arrived else "deadline"
        self._answer(call, EngineError("The call waited until its deadline had passed", reason=reason))

    def _give_up(self, call: Waiting) -> None:
        """The caller has gone: forget the call; where it ran with no others, stop the engine."""
        for batch in self._running:
            if call in batch.calls:
                call.gone = True
                return self._abandon_empty(batch)
        return self._queue.forget(call)

    def _abandon_empty(self, batch: Batch) -> None:
        if batch.left and batch.call is not None:
            self._lane.abandon(batch.call)
            batch.over = True
            self._running.remove(batch)
            self.pace.saw(batch.rows, time.monotonic() - batch.began)
            self._pump()

    def _overdue(self, now: float) -> float:
        """Deadlines have passed: of calls that wait, and of calls that run. The next one."""
        for call in self._queue.expired(now):
            self._late(call)
        for batch in list(self._running):
            if batch.until <= now and not (batch.call is not None and batch.call.done):  # what is done is on its way to this loop
                for call in batch.calls:
                    if not call.gone and call.until <= now:
                        self._answer(call, EngineError("The call did not end in time", reason="deadline"))
                batch.next_deadline()
                self._abandon_empty(batch)
        running = (batch.until for batch in self._running if batch.until > now)
        return min(self._queue.next_deadline(), min(running, default=math.inf))

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """A new loop: whoever waited in an earlier one is gone."""
        self._loop, self._pumping = loop, False
        self._alarm.bind(loop)
        self._queue.clear()
        self._running = [batch for batch in self._running if not batch.over]
