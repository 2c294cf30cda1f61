"""How many connections there may be at once, and which of them makes room for a new one: the one that rests longest."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Seat:
    """A connection's place. `rests_since`: monotonic seconds; None while a request is being read or answered."""

    __slots__ = ("connection", "rests_since")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rests_since: float | None = time.monotonic()


class Room:
    """The places, from any thread.

    Args:
        most: connections at once.
    """

    def __init__(self, most: int) -> None:
        self._most, self._seats = most, set[Seat]()
        self._changed = threading.Condition()
        self._closing = False

    @property
    def taken(self) -> int:
        """Places that are."""
        return len(self._seats)

    @property
    def resting(self) -> int:
        """Of these, how many wait for a next request."""
        with self._changed:
            return sum(seat.rests_since is not None for seat in self._seats)

    @property
    def closing(self) -> bool:
        """Nobody is to rest here any longer."""
        return self._closing

    def admit(self, connection: socket.socket) -> Seat | None:
        """A place, if need be that of a connection that rests, which is ended; None: all are busy."""
        with self._changed:
            if len(self._seats) >= self._most and not self._make_room():
                return None
            seat = Seat(connection)
            self._seats.add(seat)
            return seat

    def rest(self, seat: Seat) -> bool:
        """Its connection waits for a next request; whether it may."""
        with self._changed:
            seat.rests_since = time.monotonic()
            return not self._closing

    def work(self, seat: Seat) -> None:
        """A request has begun to arrive."""
        seat.rests_since = None

    def leave(self, seat: Seat) -> None:
        """Its connection has ended."""
        with self._changed:
            self._seats.discard(seat)
            self._changed.notify_all()

    def close(self, grace_s: float) -> None:
        """End those that rest, wait for the others, then end them too."""
        with self._changed:
            self._closing = True
            for seat in self._seats:
                if seat.rests_since is not None:
                    _end(seat)
            self._changed.wait_for(lambda: not self._seats, grace_s)
            for seat in self._seats:
                _end(seat)
            self._changed.wait_for(lambda: not self._seats, 1.0)

    def _make_room(self) -> bool:
        resting = [(seat.rests_since, place, seat) for place, seat in enumerate(self._seats) if seat.rests_since is not None]
        if not resting:
            return False
        seat = min(resting)[2]
        self._seats.discard(seat)
        _end(seat)
        return True


def _end(seat: Seat) -> None:
    """Its thread, which may be reading, sees the end; closing is for that thread alone."""
    with suppress(OSError):
        seat.connection.shutdown(socket.SHUT_RDWR)
