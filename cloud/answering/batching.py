"""Which waiting calls run next: the pure core of the batcher. No clock, thread or event loop in here.

The rules:

- Calls of one *kind* can be one batch; what makes a kind is the caller's business (joining.py).
- The call with the earliest deadline goes first, with as many of its kind as fit, earliest deadline first. Calls without a
  deadline come last, in the order of their arrival; so do calls with the same deadline.
- A batch holds at most `max_rows` rows and `max_bytes` bytes. A call that is larger than that goes alone: it is never split.
- A call whose deadline has passed is dropped, never run. A call marked `alone` shares with nobody.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any


@dataclass(frozen=True)
class Bounds:
    """What one batch may hold. `max_calls=1` merges nothing."""

    max_rows: int = 64
    max_bytes: int = 16 << 20
    max_calls: int = 1 << 30


class Waiting:
    """A call that waits.

    Attributes:
        arrays: typed inputs.
        kind: calls with equal kinds can be one batch.
        rows, size_bytes: of the inputs.
        until: monotonic seconds, infinity where there is no deadline.
        number: order of arrival.
        asked: who waits for it; the core does not look at it.
        arrived: monotonic seconds. waited: seconds from then until it ran.
        alone: is run by itself.
        gone: answered or given up: the queue forgets it.
    """

    __slots__ = ("alone", "arrays", "arrived", "asked", "gone", "kind", "number", "rows", "size_bytes", "until", "waited")

    def __init__(self, arrays: Any, kind: Hashable, rows: int, size_bytes: int, until: float | None = None,
                 number: int = 0, asked: Any = None, arrived: float = 0.0) -> None:  # fmt: skip
        self.arrays, self.kind, self.rows, self.size_bytes = arrays, kind, rows, size_bytes
        self.until = math.inf if until is None else until
        self.number, self.asked, self.arrived, self.waited, self.alone, self.gone = number, asked, arrived, 0.0, False, False

    def __lt__(self, other: Waiting) -> bool:
        return (self.until, self.number) < (other.until, other.number)


class WaitingQueue:
    """Calls by kind, earliest deadline first.

    Attributes:
        calls, rows, size_bytes: of what waits.
    """

    def __init__(self) -> None:
        self.calls, self.rows, self.size_bytes = 0, 0, 0
        self._kinds: dict[Hashable, list[Waiting]] = {}

    def push(self, call: Waiting) -> None:
        """Let a call wait."""
        kind = ("alone", call.number) if call.alone else call.kind
        heappush(self._kinds.setdefault(kind, []), call)
        self._count(call, 1)

    def forget(self, call: Waiting) -> None:
        """A call that waits is not wanted any more; its place in the heap is cleared when it comes to the front."""
        if not call.gone:
            call.gone = True
            self._count(call, -1)

    def take(self, bounds: Bounds, now: float) -> tuple[list[Waiting], list[Waiting]]:
        """(what runs next, what is too late to run); both empty where nothing waits."""
        late = self.expired(now)
        kind = self._first()
        if kind is None:
            return [], late
        heap, batch = self._kinds[kind], list[Waiting]()
        rows = size = 0
        while heap and len(batch) < bounds.max_calls:
            call = heap[0]
            fits = rows + call.rows <= bounds.max_rows and size + call.size_bytes <= bounds.max_bytes
            if not call.gone and batch and not fits:
                break
            heappop(heap)
            if not call.gone:
                batch.append(call)
                rows, size = rows + call.rows, size + call.size_bytes
                self._count(call, -1)
        if not heap:
            del self._kinds[kind]
        return batch, late

    def expired(self, now: float) -> list[Waiting]:
        """Calls whose deadline has passed, taken out."""
        late: list[Waiting] = []
        for kind in list(self._kinds):
            heap = self._kinds[kind]
            while heap and (heap[0].gone or heap[0].until <= now):
                call = heappop(heap)
                if not call.gone:
                    late.append(call)
                    self._count(call, -1)
            if not heap:
                del self._kinds[kind]
        return late

    def next_deadline(self) -> float:
        """The earliest deadline of what waits; infinity where there is none."""
        return min((heap[0].until for heap in self._kinds.values()), default=math.inf)

    def clear(self) -> list[Waiting]:
        """Everything that waits, taken out."""
        calls = [call for heap in self._kinds.values() for call in heap if not call.gone]
        heapify(calls)
        self._kinds.clear()
        self.calls = self.rows = self.size_bytes = 0
        return calls

    def _first(self) -> Hashable | None:
        """The kind of the most urgent call. Heaps hold no forgotten call in front: `expired` has just run."""
        return min(self._kinds, key=lambda kind: self._kinds[kind][0], default=None)

    def _count(self, call: Waiting, sign: int) -> None:
        self.calls += sign
        self.rows += sign * call.rows
        self.size_bytes += sign * call.size_bytes
