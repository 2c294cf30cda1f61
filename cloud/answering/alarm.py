"""One timer for many deadlines: set for the earliest, and set anew when it rings. A deadline that is kept costs no timer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable


class Alarm:
    """On one event loop at a time.

    Args:
        ring: told when a deadline has passed, with the time; answers the next one (monotonic seconds, infinity for none).
    """

    def __init__(self, ring: Callable[[float], float]) -> None:
        self._ring, self._when = ring, math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on with this loop; what was set in another one is gone with it."""
        self._loop, self._timer, self._when = loop, None, math.inf

    def at(self, when: float) -> None:
        """Ring then at the latest."""
        if when >= self._when or self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = self._loop.call_later(max(when - time.monotonic(), 0.0), self._rung)

    def _rung(self) -> None:
        self._timer, self._when = None, math.inf
        self.at(self._ring(time.monotonic()))
