"""Admission: how many requests, and how many bytes of them, a server process works on at once. More get 429 before their body is read,
and so do those that an event loop that is late cannot turn to (loop_lag.py).

Only requests that bring a body count; health, metrics and documentation always answer. A body of unknown length (sent in
chunks) counts as the largest one allowed.
"""

from __future__ import annotations

from typing import Any

from ...sdk.core.errors import EngineError
from .asgi import HEAD, RefusalError, Scope
from .loop_lag import LoopLag

FREE = -1
"""The ticket of a request that does not count."""


class Admission:
    """A guard (asgi.Guard).

    Args:
        max_inflight: requests at once.
        max_bytes: bytes of their bodies at once; a request is let in alone whatever its size.
        largest: bytes that a body of unknown length counts as.
        lag: of the event loop.

    Attributes:
        inflight, size_bytes: what is under way.
        refused: counts so far.
    """

    def __init__(self, max_inflight: int, max_bytes: int, largest: int, lag: LoopLag | None = None) -> None:
        self._most, self._most_bytes, self._largest = max_inflight, max_bytes, largest
        self.inflight, self.size_bytes, self.refused = 0, 0, 0
        self._lag = lag or LoopLag()

    def enter(self, scope: Scope) -> Any:
        """The bytes that the request counts as. Raises RefusalError (429)."""
        if scope["method"] != "POST":
            return FREE
        said = scope[HEAD].get(b"content-length")
        size = int(said) if said is not None and said.isdigit() else self._largest
        if self.inflight >= self._most or (self.inflight and self.size_bytes + size > self._most_bytes):
            self.refused += 1
            raise RefusalError(429, too_many(self.inflight), [(b"retry-after", b"1")])
        lag = self._lag
        if lag.let_in >= lag.most and lag.full():
            raise RefusalError(429, too_late(), [(b"retry-after", b"1")])
        lag.let_in += 1
        self.inflight += 1
        self.size_bytes += size
        return size

    def leave(self, ticket: Any, status: int, seconds: float) -> None:
        """The request has ended."""
        if ticket >= 0:
            self.inflight -= 1
            self.size_bytes -= ticket

    def page(self) -> list[str]:
        """As Prometheus text."""
        return [
            "# TYPE portside_inflight_requests gauge", f"portside_inflight_requests {self.inflight}",
            "# TYPE portside_inflight_bytes gauge", f"portside_inflight_bytes {self.size_bytes}",
            "# HELP portside_turned_away_total Requests refused with 429 before their body was read.",
            "# TYPE portside_turned_away_total counter", f"portside_turned_away_total {self.refused}",
            *self._lag.page(),
        ]  # fmt: skip


def too_many(inflight: int) -> EngineError:
    """What a request that is not admitted is told."""
    return EngineError("The server has as many requests under way as it takes", reason="busy", got=inflight,
                       fix="Try again after the time in Retry-After.")  # fmt: skip


def too_late() -> EngineError:
    """What a request is told while the event loop is late."""
    return EngineError("The server is late with what it has begun", reason="busy",
                       fix="Try again after the time in Retry-After. portside_loop_lag_seconds of /metrics says how late; a model that "
                           'takes long and runs with isolation = "inline" is what keeps it most often.')  # fmt: skip
