"""Answers that are kept for a while, so that many viewers cost as much as one, and a long span is not added up every second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """At most `most` of them; the one that was made first goes first.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, most: int = 64, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._held: dict[Hashable, tuple[float, T]] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seconds: float, make: Callable[[], T]) -> T:
        """What `make` gave at most `seconds` ago, or gives now. Who asks for the same meanwhile waits for it. Raises what `make` does."""
        if (found := self._fresh(key)) is not None:
            return found[1]
        with self._lock:
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            if (found := self._fresh(key)) is not None:
                return found[1]
            value = make()
            with self._lock:
                self._held.pop(key, None)
                self._held[key] = (self._clock() + seconds, value)
                while len(self._held) > self._most:
                    gone = next(iter(self._held))
                    del self._held[gone]
                    self._making.pop(gone, None)
            return value

    def _fresh(self, key: Hashable) -> tuple[float, T] | None:
        found = self._held.get(key)
        return found if found is not None and self._clock() < found[0] else None
