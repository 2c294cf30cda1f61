"""The timer that closes connections which wait too long. What a connection waits for is read from its state.

A connection's time in a phase begins when the sweep first sees it there, so limits are kept to within a sweep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

MAX_PIPELINED = 64
"""Requests that may wait on one connection behind the one that is answered."""
MAX_DISCARDED = 4 << 20
"""Bytes of a body that are thrown away after its request was refused, so that the caller can read why."""
Phase: TypeAlias = Literal["head", "body", "answering", "reading", "idle"]


@dataclass(frozen=True)
class Limits:
    """See `Connections` of cloud/deployment/server.py. Times in seconds; `every_s`: between two sweeps."""

    max: int = 1000
    head_s: float = 10.0
    body_s: float = 60.0
    answer_s: float = 60.0
    idle_s: float = 5.0
    max_head_bytes: int = 64 << 10
    every_s: float = 1.0

    def of(self, phase: Phase) -> float:
        """How long a connection may be in this phase. An answer has its deadline, and rest has uvicorn's own timer, which closes gently:
        under TLS what a caller has not read yet looks like rest here."""
        times = {"head": self.head_s, "body": self.body_s + 2 * self.every_s, "reading": self.answer_s}
        return times.get(phase, float("inf"))


class Watched(Protocol):
    """What the sweep needs of a connection (uvicorn's protocol has it)."""

    transport: Any
    cycle: Any
    timeout_keep_alive_task: Any

    @property
    def phase(self) -> Phase:
        """What it waits for."""
        ...


def phase_of(connection: Any) -> Phase:
    """What a connection waits for.

    A request's headers ("head"), its body ("body"), our answer ("answering"), the caller who reads it ("reading"), or nothing ("idle").
    """
    cycle = connection.cycle
    if cycle is not None and not cycle.response_complete:
        if connection.flow.write_paused:
            return "reading"
        return "body" if cycle.more_body else "answering"
    if connection.transport.get_write_buffer_size():
        return "reading"
    return "head" if connection.timeout_keep_alive_task is None else "idle"


class Sweep:
    """One per server process: looks at all connections every `limits.every_s` seconds while there are any."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self.closed = limits, dict[Phase, int]()
        self._seen: dict[Any, tuple[Phase, Any, float]] = {}
        self._runs = False

    def watch(self, connections: set[Any]) -> None:
        """Look at these from now on."""
        if not self._runs:
            self._runs = True
            asyncio.get_running_loop().call_later(self._limits.every_s, self._look, connections)

    def page(self) -> list[str]:
        """As Prometheus text."""
        name = "portside_connections_closed_total"
        head = [f"# HELP {name} Connections closed for what they waited for too long, or to make room.", f"# TYPE {name} counter"]
        return [*head, *(f'{name}{{phase="{phase}"}} {count}' for phase, count in self.closed.items())]

    def make_room(self, connections: Iterable[Any], newcomer: Any) -> bool:
        """Close one that rests between two requests. Whether there was one."""
        for other in connections:
            if other is not newcomer and getattr(other, "phase", "") == "idle" and not other.transport.is_closing():
                self._close(other, "idle")
                return True
        return False

    def _look(self, connections: set[Any]) -> None:
        loop = asyncio.get_running_loop()
        try:
            self.look(connections, loop.time())
        finally:  # whatever one connection does, the others are looked at again
            self._runs = bool(connections)
            if self._runs:
                loop.call_later(self._limits.every_s, self._look, connections)

    def look(self, connections: Iterable[Watched], now: float) -> None:
        """Close those that are in one phase, of one request, for too long. `now`: seconds of any clock that only goes on."""
        seen: dict[Any, tuple[Phase, Any, float]] = {}
        for connection in list(connections):
            phase, turn = connection.phase, connection.cycle
            last = self._seen.get(connection)
            since = last[2] if last is not None and last[0] == phase and last[1] is turn else now
            seen[connection] = (phase, turn, since)
            if now - since >= self._limits.of(phase):
                self._close(connection, phase)
        self._seen = seen

    def _close(self, connection: Any, phase: Phase) -> None:
        """At once: what is still in its buffers nobody reads."""
        self.closed[phase] = self.closed.get(phase, 0) + 1
        connection.transport.abort()
