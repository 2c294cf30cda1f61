"""The open-loop generator: requests start when they are due, whatever became of those before them.

Latency is counted from the moment at which a request was due. A request that finds no free connection waits in line, and
its waiting counts: so a server that stalls is charged for every request of the stall (no "coordinated omission", Tene).
What the generator itself is late by is kept apart, and where it is much, its figures are no verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import ssl
from collections import deque
from collections.abc import Coroutine, Sequence
from itertools import cycle
from typing import Any, TypeVar

from .arrivals import Arrivals, schedule
from .connection import Connection
from .tally import Step, Tally
from .target import Target

SWEEP_S, REST_S = 0.05, 2.0
"""How often what waits is looked at; how long a connection may rest: a server closes it after 5 s or more, perhaps just as it is used."""
Found = TypeVar("Found")


class Generator:
    """Drives one target from one event loop.

    Args:
        target: where to.
        deadline_ms: answers after it are late.
        timeout_s: a request that has no answer by then is given up, its connection with it.
        connections: at most this many at once; requests beyond wait in line.
    """

    def __init__(self, target: Target, deadline_ms: float, timeout_s: float, connections: int = 256) -> None:
        self._target, self._deadline_ms, self._timeout, self._most = target, deadline_ms, timeout_s, connections
        self._loop = asyncio.get_running_loop()
        self._tls = ssl.create_default_context() if target.tls else None
        self._requests = cycle(target.requests)
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._line: deque[float] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._tally, self._peak, self._last = Tally(deadline_ms), 0, 0.0
        self._done = asyncio.Event()
        self._due: Sequence[float] = ()
        self._place, self._began = 0, self._loop.time()

    async def step(self, rate: float, seconds: float, arrivals: Arrivals = "poisson", seed: int = 0) -> Step:
        """Run one rate to its end: until every request that was due has ended."""
        started = self._loop.time() + 0.02
        self._tally, self._peak, self._last = Tally(self._deadline_ms, started - self._began), len(self._all), started
        self._due, self._place = [started + at for at in schedule(rate, seconds, arrivals, seed).tolist()], 0
        self._done.clear()
        self._retire()
        self._loop.call_at(self._due[0], self._tick)
        await asyncio.gather(self._sweep(), self._fold(started))
        return self._tally.step(rate, seconds, self._last - started, self._peak)

    async def close(self) -> None:
        """Close all connections."""
        for task in self._opening:
            task.cancel()
        for connection in list(self._all):
            connection.abort("reset")
        await asyncio.sleep(0)

    def ready(self, connection: Connection) -> None:
        """A connection is open, or free again: it takes the request that has waited longest."""
        self._all.add(connection)
        if self._line:
            connection.send(next(self._requests), self._line.popleft())
        else:
            connection.rests = self._loop.time()
            self._free.append(connection)

    def answered(self, connection: Connection, status: int, reason: bytes, keep: bool) -> None:
        """Count an answer."""
        scheduled, connection.scheduled = connection.scheduled, None
        if scheduled is None:
            return
        tally, self._last = self._tally, self._loop.time()
        if 200 <= status < 300:
            tally.latencies.append(self._last - scheduled)
            if reason and reason != b"primary":
                tally.failovers[reason.decode("latin-1")] += 1
        else:
            tally.errors["refused (429)" if status == 429 else f"status {status}"] += 1
        if keep:
            self.ready(connection)

    def lost(self, connection: Connection, error: str | None) -> None:
        """A connection is gone; who waits gets another one."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if error is not None:
            self._tally.errors[error] += 1
        if self._line:
            self._open()

    def _tick(self) -> None:
        """Start what is due, and wake up for the next."""
        due, place, now = self._due, self._place, self._loop.time()
        while place < len(due) and due[place] <= now:
            self._start(due[place], now)
            place += 1
        self._place = place
        if place < len(due):
            self._loop.call_at(due[place], self._tick)

    def _start(self, scheduled: float, now: float) -> None:
        self._tally.lateness.append(now - scheduled)
        if self._free:
            self._free.pop().send(next(self._requests), scheduled)
            return
        self._line.append(scheduled)
        self._open()

    def _open(self) -> None:
        """One more connection, if there may be one and it is not on its way already."""
        if len(self._all) + len(self._opening) < self._most and len(self._opening) < len(self._line):
            task = self._loop.create_task(self._connect())
            self._opening.add(task)
            self._peak = max(self._peak, len(self._all) + len(self._opening))

    async def _connect(self) -> None:
        host, port = self._target.host, self._target.port
        try:
            await asyncio.wait_for(self._loop.create_connection(lambda: Connection(self), host, port, ssl=self._tls), self._timeout)
        except (OSError, TimeoutError):
            if self._line:  # nobody else may come: the request that waits longest is told
                self._line.popleft()
                self._tally.errors["connect"] += 1
        finally:
            self._opening.discard(asyncio.current_task())  # type: ignore[arg-type]
        if self._line and not self._free:
            self._open()

    async def _sweep(self) -> None:
        """Give up what waits too long; ends when every request has ended."""
        while self._place < len(self._due) or self._tally.ended < len(self._due):
            await asyncio.sleep(SWEEP_S)
            self._retire()
            oldest = self._loop.time() - self._timeout
            for connection in [held for held in self._all if held.scheduled is not None and held.scheduled < oldest]:
                connection.abort("timeout")
            while self._line and self._line[0] < oldest:
                self._line.popleft()
                self._tally.errors["timeout"] += 1
        self._done.set()

    def _retire(self) -> None:
        """Close connections that rest; the one that has rested longest stands first."""
        oldest = self._loop.time() - REST_S
        while self._free and self._free[0].rests < oldest:
            self._free.pop(0).abort("reset")

    async def _fold(self, started: float) -> None:
        ends = started
        while not self._done.is_set():
            ends += 1.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), max(ends - self._loop.time(), 0.0))
            self._tally.fold(self._loop.time() - started)


def run(work: Coroutine[Any, Any, Found]) -> Found:
    """Run in a loop whose timers are exact: `select` waits in microseconds, where `epoll` rounds up to milliseconds."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(work)
