"""Calls that run as one, and what became of them: outputs by call, or the error that all of them have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ...runtimes.call import Call
from ...sdk.core.errors import EngineError, InputError
from ...sdk.core.signature import Array
from .batching import Waiting
from .joining import Joiner

Outputs = dict[str, Array]


@dataclass(eq=False)
class Batch:
    """Calls that run as one.

    Attributes:
        rows: of all of them.
        until: when the next of them must have its answer; infinity: none must.
        began: monotonic seconds.
        call: what the lane was given.
        results: by call, in their order, or why there are none.
        over: nobody waits for it any more.
    """

    calls: list[Waiting]
    rows: int
    began: float
    until: float = math.inf
    call: Call | None = None
    results: list[Outputs] | Exception = field(default_factory=list[Outputs])
    over: bool = False

    def __post_init__(self) -> None:
        self.next_deadline()

    @property
    def latest(self) -> float | None:
        """When the last of them gives up; None: one never does."""
        latest = max(call.until for call in self.calls)
        return None if latest == math.inf else latest

    @property
    def left(self) -> bool:
        """Every caller has gone, or has had an answer, and the lane still runs it."""
        return self.call is not None and not self.over and all(call.gone for call in self.calls)

    def next_deadline(self) -> None:
        """Of those that wait still."""
        self.until = min((call.until for call in self.calls if not call.gone), default=math.inf)

    def land(self, outcome: object, joiner: Joiner) -> None:
        """Take outputs apart, or keep the error. In whatever thread the lane tells it."""
        if not isinstance(outcome, dict):
            self.results = outcome if isinstance(outcome, Exception) else EngineError("The model did not answer")
            return
        outputs: Outputs = outcome
        try:
            self.results = [outputs] if len(self.calls) == 1 else joiner.split(outputs, [held.rows for held in self.calls])
        except Exception as error:  # outputs that cannot be taken apart: each call is asked again, alone
            self.results = error

    def stranger(self) -> bool:
        """An error that one row may have brought on all of them."""
        error = self.results
        if len(self.calls) == 1 or not isinstance(error, Exception):
            return False
        return isinstance(error, InputError) or not isinstance(error, EngineError) or error.reason in ("failed", "non-finite")
