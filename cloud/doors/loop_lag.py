"""How late the event loop is, measured by a timer on it, and how many requests are let in meanwhile (cloud/answering/lateness.py).

The timer costs some microseconds twenty times a second; a request costs the comparison and the addition that `Admission` makes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left

from ..answering.lateness import ON_TIME, after

EVERY_S, LIMIT_S = 0.05, 0.5
BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """Of one event loop, from its first request on.

    Args:
        limit_s: a loop that is later than that is late.

    Attributes:
        most, let_in: requests that may come until the next tick, and that have come since the last; `let_in` is for whoever lets in.
        refused: counts so far.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s, self._state, self._due = limit_s, ON_TIME, 0.0
        self.most = self.let_in = self.refused = 0
        self._runs, self._counts, self._seconds = False, [0] * (len(BUCKETS_S) + 1), 0.0

    def full(self) -> bool:
        """No more requests until the next tick. To be asked where `let_in` has come to `most`, which it has at first: then it begins."""
        if self._runs:
            self.refused += 1
            return True
        self._runs, self.most = True, self._state.most
        with contextlib.suppress(RuntimeError):  # nobody's loop: nothing is ever late
            self._wind(asyncio.get_running_loop())
        return False

    def _wind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = time.monotonic() + EVERY_S
        loop.call_later(EVERY_S, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.saw(max(time.monotonic() - self._due, 0.0))
        self._wind(loop)

    def saw(self, lag_s: float) -> None:
        """A tick came so late."""
        self._counts[bisect_left(BUCKETS_S, lag_s)] += 1
        self._seconds += lag_s
        self._state = after(self._state, lag_s, self.let_in, self._limit_s)
        self.most, self.let_in = self._state.most, 0

    def page(self) -> list[str]:
        """As Prometheus text."""
        name, total = "portside_loop_lag_seconds", 0
        lines = [f"# HELP {name} How late the event loop was, twenty times a second.", f"# TYPE {name} histogram"]
        for limit, count in zip((*BUCKETS_S, "+Inf"), self._counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{limit}"}} {total}')
        return [
            *lines, f"{name}_sum {self._seconds:.6f}", f"{name}_count {total}",
            "# HELP portside_turned_away_late_total Requests refused with 429 because the event loop was late.",
            "# TYPE portside_turned_away_late_total counter", f"portside_turned_away_late_total {self.refused}",
        ]  # fmt: skip
