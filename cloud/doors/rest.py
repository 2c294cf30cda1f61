"""The time between two requests of a connection, which ends it: one timer per connection, where uvicorn sets one per request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Rest:
    """Takes the place of uvicorn's timer, of which its protocol knows `cancel`.

    Args:
        loop: of the connection.
        seconds: how long it may rest.
        end: called when it has.
    """

    __slots__ = ("_end", "_loop", "_seconds", "_timer", "since")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, end: Callable[[], None]) -> None:
        self._loop, self._seconds, self._end = loop, seconds, end
        self._timer: asyncio.TimerHandle | None = None
        self.since: float | None = None

    def begin(self) -> None:
        """It rests from now on."""
        self.since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def cancel(self) -> None:
        """It rests no longer. The timer goes on: most likely it will rest again before that."""
        self.since = None

    def close(self) -> None:
        """The connection has ended."""
        self._end = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self.since is None:
            return
        left = self.since + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._end()


def _nothing() -> None:
    pass
