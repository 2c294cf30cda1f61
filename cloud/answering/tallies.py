"""What a model's queue has done, counted: batches by size, time waited, calls refused and why."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Tally:
    """Counters of one queue, written from the event loop.

    Attributes:
        shed: calls refused, by why: "full", "inflight", "late".
        late: calls dropped because their deadline passed while they waited.
        again: calls run again alone because their batch had failed.
        waited_s: seconds waited in all.
    """

    def __init__(self) -> None:
        self.shed: Counter[str] = Counter()
        self.late, self.again, self.calls, self.rows, self.waited_s = 0, 0, 0, 0, 0.0
        self._sizes = [0] * (len(SIZES) + 1)

    @property
    def batches(self) -> int:
        """Calls of the engine."""
        return sum(self._sizes)

    def ran(self, calls: int, rows: int, waited_s: float) -> None:
        """A batch has begun."""
        self._sizes[bisect_left(SIZES, rows)] += 1
        self.calls += calls
        self.rows += rows
        self.waited_s += waited_s

    def lines(self, entry: int) -> Iterable[str]:
        """The histogram of rows per batch, as Prometheus text without its head."""
        total, label = 0, f'entry="{entry}"'
        for limit, count in zip((*SIZES, "+Inf"), self._sizes, strict=True):
            total += count
            yield f'portside_batch_rows_bucket{{{label},le="{limit}"}} {total}'
        yield f"portside_batch_rows_sum{{{label}}} {self.rows}"
        yield f"portside_batch_rows_count{{{label}}} {total}"


class Seen(Protocol):
    """What the page reads of a queue."""

    tally: Tally
    obstacle: str
    merges: bool

    @property
    def waiting(self) -> Any:
        """`WaitingQueue`."""
        ...

    def wait_s(self) -> float:
        """See `Batcher.wait_s`."""
        ...


def page(queues: Mapping[int, Seen]) -> list[str]:
    """Queues by entry of the chain, as Prometheus text."""
    lines = ["# HELP portside_batch_rows Rows per call of the engine.", "# TYPE portside_batch_rows histogram"]
    lines += [line for entry, queue in queues.items() for line in queue.tally.lines(entry)]
    for name, kind, about, value in _NUMBERS:
        samples = [f'{name}{{entry="{entry}"}} {value(queue):g}' for entry, queue in queues.items()]
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *samples]
    lines += ["# HELP portside_shed_total Calls refused before they ran, by why.", "# TYPE portside_shed_total counter"]
    lines += [f'portside_shed_total{{entry="{entry}",why="{why}"}} {count}'
              for entry, queue in queues.items() for why, count in queue.tally.shed.items()]  # fmt: skip
    lines += ["# HELP portside_batching Whether calls share batches, and why not.", "# TYPE portside_batching gauge"]
    lines += [f'portside_batching{{entry="{entry}",why_not="{queue.obstacle}"}} {int(queue.merges)}' for entry, queue in queues.items()]
    return lines


_NUMBERS: Sequence[tuple[str, str, str, Callable[[Seen], float]]] = (
    ("portside_queue_calls", "gauge", "Calls that wait.", lambda queue: queue.waiting.calls),
    ("portside_queue_rows", "gauge", "Rows that wait.", lambda queue: queue.waiting.rows),
    ("portside_queue_bytes", "gauge", "Bytes of inputs that wait.", lambda queue: queue.waiting.size_bytes),
    ("portside_queue_wait_seconds", "gauge", "How long a call that came now would take.", lambda queue: queue.wait_s()),
    ("portside_queue_waited_seconds_total", "counter", "Time waited by calls before they ran.", lambda queue: queue.tally.waited_s),
    ("portside_queue_calls_total", "counter", "Calls that ran.", lambda queue: queue.tally.calls),
    ("portside_queue_late_total", "counter", "Calls dropped because their deadline passed in the queue.", lambda queue: queue.tally.late),
    ("portside_batch_again_total", "counter", "Calls run again alone because their batch had failed.", lambda queue: queue.tally.again),
)
