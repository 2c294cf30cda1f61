"""Interpreters that calls borrow, one each: an interpreter serves one thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ...sdk.core.errors import EngineError

T = TypeVar("T")


class Pool(Generic[T]):
    """Opened when a call finds none free, up to `limit`. The first is opened at once.

    Taking from a deque and adding to it are atomic, so a call with a free interpreter needs no lock; `attention` says that there
    is more to do: somebody waits, or the pool is closed. Who waits says so before looking once more, and who gives back looks after
    giving back, so that one of them sees the other.

    Attributes:
        free: those that nobody has.
        attention: after giving back, call `attend`; after taking, give back and call `take`.
    """

    def __init__(self, open_one: Callable[[], T], limit: int) -> None:
        self._open, self._limit, self._opened = open_one, limit, 1
        self._changed, self._closed, self._waiting = threading.Condition(threading.Lock()), False, 0
        self.attention = False
        self.free = deque((open_one(),))

    def take(self) -> T:
        """One that is free, to be given back. Raises EngineError when closed."""
        try:
            taken = self.free.pop()
        except IndexError:
            taken = self._another()
        if self._closed:
            raise _closed()
        return taken

    def give(self, taken: T) -> None:
        """Back to the pool."""
        self.free.append(taken)
        if self.attention:
            self.attend()

    def attend(self) -> None:
        """Wake one who waits; drop what was given back to a closed pool."""
        with self._changed:
            if self._closed:
                self.free.clear()
            self._changed.notify()

    def close(self) -> None:
        """Drop the free ones, and the others when they come back."""
        with self._changed:
            self._closed = self.attention = True
            self.free.clear()
            self._changed.notify_all()

    def _another(self) -> T:
        with self._changed:
            if self._closed:
                raise _closed()
            if self._opened >= self._limit:
                return self._awaited()
            self._opened += 1
        try:
            return self._open()
        except BaseException:
            with self._changed:
                self._opened -= 1
                self._changed.notify()
            raise

    def _awaited(self) -> T:
        """The next that comes free. The lock is held, except while waiting."""
        self._waiting += 1
        self.attention = True
        try:
            while True:
                try:
                    return self.free.pop()
                except IndexError:
                    self._changed.wait()
                if self._closed:
                    raise _closed()
        finally:
            self._waiting -= 1
            self.attention = self._closed or self._waiting > 0
            if self.free:  # woken, and gone for another reason: the next one may have it
                self._changed.notify()


def _closed() -> EngineError:
    return EngineError("The session is closed", reason="closed", fix="Load the artifact again.")
