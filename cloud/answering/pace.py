"""How fast a model works, and so how long a queue is in seconds. Values in, values out; no clock in here.

A batch of n rows takes `base_s + n * row_s`, as measured when the model was warmed up, times a factor that follows what
calls really take (an exponentially weighted mean), plus twice their mean deviation where a promise depends on it, as TCP
does for its timeouts (Jacobson, "Congestion avoidance and control", 1988).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

WEIGHT = 0.1
"""Of the newest call in the means; the first ones weigh more."""
JUMP = 4.0
"""A call counts as at most so many times the mean: one stall of the machine says little about the next call."""
ENOUGH = 8
"""Calls after which a pace that was not measured is known."""
PROBE_ROWS = 8
PROBES = 20
BUDGET_S = 0.5
"""No more probes begin after this time."""
SLOW_S = 0.25
"""A model that needs longer for one row is not measured with 8."""
WORTH = 0.6
"""Batches are worth it where 8 rows in one call take at most this part of the time of 8 calls."""


class Pace:
    """Seconds of one model's calls.

    Attributes:
        base_s, row_s: of a call, and of each of its rows; 0.0 while nothing is known.
    """

    __slots__ = ("_deviation", "_factor", "_measured", "_seen", "base_s", "row_s")

    def __init__(self, base_s: float = 0.0, row_s: float = 0.0) -> None:
        self.base_s, self.row_s = base_s, row_s
        self._factor, self._deviation, self._seen, self._measured = 1.0, 0.0, 0, base_s > 0.0 or row_s > 0.0

    @property
    def known(self) -> bool:
        """Enough was measured to refuse a call by it."""
        return self._measured or self._seen >= ENOUGH

    def saw(self, rows: int, seconds: float) -> None:
        """A call with so many rows took so long."""
        self._seen += 1
        if not self.base_s and not self.row_s:
            self.base_s = max(seconds, 1e-6)
            return
        ratio = min(seconds / (self.base_s + rows * self.row_s), JUMP * self._factor)
        weight = max(WEIGHT, 1.0 / (self._seen + 1))
        self._deviation += weight * (abs(ratio - self._factor) - self._deviation)
        self._factor += weight * (ratio - self._factor)

    def seconds(self, calls: float, rows: float, careful: bool = False) -> float:
        """What so many calls of the engine with so many rows in all take; `careful`: seldom longer."""
        return (self.base_s * calls + self.row_s * rows) * (self._factor + (2.0 * self._deviation if careful else 0.0))

    def rows_within(self, seconds: float) -> int:
        """Rows of the largest call that seldom takes longer than this; may be 0 or less."""
        return int((seconds / (self._factor + 2.0 * self._deviation) - self.base_s) / self.row_s) if self.row_s else 1 << 30


def measured(run: Callable[[Mapping[str, Any]], object], inputs: Callable[[int], Mapping[str, Any]],
             clock: Callable[[], float], ends: float) -> tuple[Pace, bool]:  # fmt: skip
    """(the pace of a model, whether batches are worth it), from calls with 1 and with 8 rows.

    Args:
        run: one call, blocking.
        inputs: typed inputs of so many rows.
        clock: monotonic seconds.
        ends: no further call begins after this time; where none with 8 rows was made, batches are not worth it.

    Raises as `run` does.
    """
    one, many, began = list[float](), list[float](), clock()
    while len(many) < PROBES and clock() < ends:
        one.append(_timed(run, inputs(1), clock))
        if clock() - began > BUDGET_S or one[0] > SLOW_S:
            break
        many.append(_timed(run, inputs(PROBE_ROWS), clock))
    if not one or not many:
        return Pace(min(one, default=0.0)), False
    single, batch = min(one), min(many)  # whatever else runs here only adds to a time
    row_s = max((batch - single) / (PROBE_ROWS - 1), 0.0)
    return Pace(max(single - row_s, 1e-6), row_s), batch <= WORTH * PROBE_ROWS * single


def _timed(run: Callable[[Mapping[str, Any]], object], inputs: Mapping[str, Any], clock: Callable[[], float]) -> float:
    began = clock()
    run(inputs)
    return clock() - began
