"""What one step of a load gathers while it runs, and the value that it leaves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np

from ...sdk.core.statistics import lower_bound, upper_bound
from .histogram import Histogram

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
LATE_MS, LATE_SHARE = 2.0, 0.1
"""A generator whose p99 of lateness is above both (the second: of the deadline) was late itself."""
Judged: TypeAlias = Literal["held", "missed", "too few to tell", "generator late"]


@dataclass(frozen=True)
class Moment:
    """One second of a run: seconds since the run began, answers, errors, latencies in ms (None: no answer)."""

    at_s: float
    answered: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True)
class Step:
    """What one rate did.

    Attributes:
        rate: asked, requests per second.
        seconds: how long requests were started.
        sent: requests that were due, all of which ended in one way or another.
        answered: with a status of 2xx.
        within: of these, within the deadline, measured from the scheduled start.
        forgiven: answers within the deadline and the generator's worst lateness.
        achieved: answers per second until the last one came.
        errors: kind -> count: "refused (429)", "status 503", "timeout", "reset", "connect", "broken answer".
        failovers: reason of the receipt -> answers that were not the champion's.
        latency_ms: "p50" ... "p99.9", "max"; empty without an answer.
        late_p99_ms, late_max_ms: how late the generator itself was.
        connections: opened at most at once.
        moments: one per second.
    """

    rate: float
    seconds: float
    sent: int
    answered: int
    within: int
    forgiven: int
    achieved: float
    errors: Mapping[str, int] = field(default_factory=dict[str, int])
    failovers: Mapping[str, int] = field(default_factory=dict[str, int])
    latency_ms: Mapping[str, float] = field(default_factory=dict[str, float])
    late_p99_ms: float = 0.0
    late_max_ms: float = 0.0
    connections: int = 0
    moments: tuple[Moment, ...] = ()

    def judged(self, slo: float, deadline_ms: float) -> Judged:
        """Whether this share of all requests was answered in time: by exact 95% bounds, so that few requests say little.

        Lateness of the generator counts in every latency, so a rate that held in spite of it held; one that did not is missed only
        if forgiving the worst lateness does not save it.
        The bounds take requests as independent, which neighbours in a burst are not: a close call is closer than it looks.
        """
        if _at_least(self.within, self.sent) >= slo:
            return "held"
        late = self.late(deadline_ms)
        if _at_most(self.forgiven if late else self.within, self.sent) < slo:
            return "missed"
        return "generator late" if late else "too few to tell"

    def late(self, deadline_ms: float) -> bool:
        """Whether the generator was late itself, so that latencies are partly its own."""
        return self.late_p99_ms > max(LATE_MS, LATE_SHARE * deadline_ms)

    @property
    def share_within(self) -> float:
        """Of all requests, those answered in time; refused ones count as not answered."""
        return self.within / self.sent if self.sent else math.nan

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "moments": [asdict(moment) for moment in self.moments], "share_within": self.share_within}


_at_least, _at_most = cache(lower_bound), cache(upper_bound)


class Tally:
    """Counts while a step runs. `answer` and `fail` are on the hot path; `fold` runs once per second."""

    def __init__(self, deadline_ms: float, offset_s: float = 0.0) -> None:
        self.latencies: list[float] = []
        self.lateness: list[float] = []
        self.errors: Counter[str] = Counter()
        self.failovers: Counter[str] = Counter()
        self._deadline_ms, self._offset, self._within = deadline_ms, offset_s, 0
        self._whole, self._late = Histogram(), Histogram()
        self._moments: list[Moment] = []
        self._failed = 0

    @property
    def ended(self) -> int:
        """Requests that have ended so far."""
        return len(self._whole) + len(self.latencies) + self.errors.total()

    def fold(self, at_s: float) -> None:
        """Take the latencies (seconds) since the last fold into the histograms; `at_s`: since the step began."""
        values = np.array(self.latencies) * 1e3
        self.latencies.clear()
        self._within += int((values <= self._deadline_ms).sum())
        part, failed = Histogram.of(values), self.errors.total()
        self._whole, self._late = self._whole + part, self._late + Histogram.of(np.array(self.lateness) * 1e3)
        self.lateness.clear()
        figures = (part.percentile(50), part.percentile(99), part.most) if len(part) else (None, None, None)
        self._moments.append(Moment(round(self._offset + at_s, 3), len(part), failed - self._failed, *figures))
        self._failed = failed

    def step(self, rate: float, seconds: float, elapsed_s: float, connections: int) -> Step:
        """The step, all folded."""
        whole = self._whole
        latency = {f"p{percent:g}": whole.percentile(percent) for percent in PERCENTILES} | {"max": whole.most} if len(whole) else {}
        late = (self._late.percentile(99), self._late.most) if len(self._late) else (0.0, 0.0)
        forgiven = whole.within(self._deadline_ms + late[1])
        sent = len(whole) + self.errors.total()
        return Step(rate, seconds, sent, len(whole), self._within, forgiven, len(whole) / max(elapsed_s, 1e-9), dict(self.errors),
                    dict(self.failovers), latency, *late, connections, tuple(self._moments))  # fmt: skip
