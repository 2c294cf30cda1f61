"""A socket under bounds: every wait ends, every trickle is noticed, and bytes are counted before anybody parses them.

A server that sends a byte a minute keeps an ordinary client for ever, in the headers as well as in the body. Here every
single read first asks the `Watch` how long it may still wait.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .stopped import Reason, stop

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HEADERS = 64 << 10
"""Bytes that a server may send beside what was asked for."""


@dataclass(frozen=True)
class Bounds:
    """How patient a device is.

    Attributes:
        connect_s: for a connection, its encryption included.
        gap_s: without a byte.
        request_s: for one answer, whatever its rate.
        total_s: for everything that one client asks.
        rate: bytes per second below which an answer is too slow, once `grace_s` are over.
        grace_s: in which nobody looks at the rate.
    """

    connect_s: float = 10.0
    gap_s: float = 20.0
    request_s: float = 300.0
    total_s: float = 3600.0
    rate: float = 512.0
    grace_s: float = 10.0


class Watch:
    """What one answer may still take.

    Args:
        bounds: of the device.
        most: bytes of the answer's body at most.
        ends: when everything ends, on the same clock.
        cancelled: says that it shall end now.
        clock: monotonic seconds.
    """

    def __init__(
        self, bounds: Bounds, most: int, ends: float, cancelled: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bounds, self._most, self._cancelled, self._clock = bounds, most, cancelled, clock
        self._began = clock()
        self._ends = min(ends, self._began + bounds.request_s)
        self._count = 0

    def wait_s(self) -> float:
        """How long the next read may wait. Raises StopError: slow, or cancelled."""
        now = self._clock()
        took = now - self._began
        if self._cancelled():
            raise stop(Reason.CANCELLED, "The download was interrupted on this device.")
        if now >= self._ends:
            raise stop(Reason.SLOW, f"No complete answer within {took:.0f} s.")
        if took > self._bounds.grace_s and self._count < self._bounds.rate * (took - self._bounds.grace_s):
            raise stop(Reason.SLOW, f"{self._count} bytes in {took:.0f} s are less than {self._bounds.rate:.0f} a second.")
        return min(self._bounds.gap_s, self._ends - now)

    def count(self, size: int) -> None:
        """Bytes came. Raises StopError: endless."""
        self._count += size
        if self._count > self._most + HEADERS:
            raise stop(Reason.ENDLESS, f"More than {self._most} bytes are coming, and there are no more.")


class WatchedSocket:
    """As much of a socket as `http.client` uses, with a Watch before each read. Closing waits for readers, as a socket's does."""

    def __init__(self, held: socket.socket) -> None:
        self._held, self._readers, self._closed = held, 0, False
        self.watch: Watch | None = None

    def makefile(self, mode: str) -> io.BufferedReader:
        """The reading side."""
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def sendall(self, data: bytes) -> None:
        """Send a request."""
        self._held.settimeout(self._wait_s())
        self._held.sendall(data)

    def receive(self, into: WriteableBuffer) -> int:
        """Read what is there. Raises StopError, OSError."""
        self._held.settimeout(self._wait_s())
        try:
            size = self._held.recv_into(into)
        except TimeoutError as error:
            self._wait_s()  # says which bound it was
            raise stop(Reason.SLOW, "Nothing came for too long.") from error
        if self.watch is not None:
            self.watch.count(size)
        return size

    def close(self) -> None:
        """Close, now or when the last reader does."""
        self._closed = True
        if not self._readers:
            self._held.close()

    def left(self) -> None:
        """A reader is done."""
        self._readers -= 1
        if self._closed and not self._readers:
            self._held.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def _wait_s(self) -> float:
        return self.watch.wait_s() if self.watch is not None else 10.0


class _Reader(io.RawIOBase):
    def __init__(self, owner: WatchedSocket) -> None:
        super().__init__()
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._owner.receive(buffer)

    def close(self) -> None:
        if not self.closed:
            self._owner.left()
        super().close()
