"""Drafts that wait for the writer: bounded in number and in bytes, so that a database that is away costs records and not the server."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, cast

from .draft import Drafted, Row, weight


class Taken(NamedTuple):
    """Drafts that were taken from the queue, and about the bytes they keep alive until they are settled."""

    drafts: list[Drafted | Row]
    size_bytes: int


class Backlog:
    """A queue of one reader. What does not fit is lost, and counted.

    Args:
        size: drafts that may wait, or be under way.
        size_bytes: of what they keep alive.

    Attributes:
        lost: drafts that did not fit, came too late, or were given up.
        held_bytes: about what those that wait, or are being written, take.
        closed: nothing more is taken.
    """

    def __init__(self, size: int, size_bytes: int) -> None:
        self.lost, self.held_bytes, self.closed = 0, 0, False
        self._size, self._size_bytes = size, size_bytes
        self._waiting: deque[tuple[Drafted | Row, int]] = deque()
        self._under_way = 0
        self._lock = threading.Lock()  # taken by itself where nobody is to be told: a Condition's own way to it is a slow one
        self._enter, self._leave = self._lock.acquire, self._lock.release  # `with` looks both up anew, at half the cost of all of `put`
        self.state = threading.Condition(self._lock)

    def __len__(self) -> int:
        return len(self._waiting) + self._under_way

    def put(self, draft: Drafted | Row, size_bytes: int | None = None) -> bool:
        """Queue a draft; False where it is lost. Never waits for the writer. `size_bytes`: its weight, which is known of a row."""
        size = weight(cast("Drafted", draft)) if size_bytes is None else size_bytes
        self._enter()
        try:
            if len(self._waiting) + self._under_way >= self._size or self.held_bytes + size > self._size_bytes or self.closed:
                self.lost += 1
                return False
            self.held_bytes += size
            self._waiting.append((draft, size))
        finally:
            self._leave()
        return True

    def close(self) -> None:
        """Take nothing more."""
        with self._lock:
            self.closed = True

    def take(self, most: int) -> Taken:
        """The next drafts, which are under way from now on; none: nothing waits."""
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]
            self._under_way += len(taken)
        return Taken([draft for draft, _ in taken], sum(size for _, size in taken))

    def settle(self, taken: Taken, lost: int) -> None:
        """These are durable now, but for `lost` of them."""
        with self.state:
            self._under_way -= len(taken.drafts)
            self.held_bytes -= taken.size_bytes
            self.lost += lost
            self.state.notify_all()
