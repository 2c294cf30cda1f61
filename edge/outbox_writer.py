"""Entries into the outbox off the way of an answer: a bounded queue and a thread, losses counted.

Answering never waits for the disk. While it takes nothing what waits is tried again; what no longer fits the queue is lost, and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from ..sdk.core.errors import StoreError
from .outbox import Entry, Outbox

Made: TypeAlias = Entry | Callable[[], "Entry | None"]
"""An entry, or what makes one in the writer's thread; None: there is nothing to be sent."""
PAUSE_S = 0.05
AGAIN_S = (0.1, 0.5, 2.0, 10.0)
"""Pauses before a disk that failed is asked again; the last one repeats."""
SIZE, AT_ONCE = 4096, 256


class OutboxWriter:
    """Writes entries to one outbox.

    Args:
        size: entries that may wait; more are lost, and counted as "busy".

    Attributes:
        written: durable entries. lost: those that did not fit the queue, or could not be made.
        fault: what is wrong with the disk, or was with the last one lost; "": nothing.
    """

    def __init__(self, outbox: Outbox, size: int = SIZE) -> None:
        self.outbox, self.size = outbox, size
        self.written, self.lost, self.fault = 0, 0, ""
        self._waiting: deque[tuple[str, Made]] = deque()
        self._hurry, self._state, self._closed = threading.Event(), threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="portside-outbox", daemon=True)
        self._thread.start()

    def put(self, kind: str, made: Made) -> bool:
        """Queue an entry; False where it is lost. Never blocks on the disk, never raises."""
        if len(self._waiting) >= self.size or self._closed:
            self._lose(kind, "busy")
            return False
        self._waiting.append((kind, made))
        return True

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything queued so far is durable or lost; False when that took too long."""
        self._hurry.set()
        with self._state:
            return self._state.wait_for(lambda: not self._waiting, seconds)

    def close(self, seconds: float = 10.0) -> None:
        """Flush and end; the outbox stays open. What the disk has not taken by then is lost, and counted."""
        self.flush(seconds)
        self._closed = True
        self._hurry.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        failures, last = 0, False
        while not last:
            self._hurry.wait(AGAIN_S[min(failures, len(AGAIN_S)) - 1] if failures else PAUSE_S)
            self._hurry.clear()
            last = self._closed
            try:
                while self._waiting and self._take():
                    failures = 0
            except Exception as error:  # recorded: what waits is tried again, since a device whose thread has ended tells nothing any more
                self.fault = f"{type(error).__name__}: {error}"
            failures += bool(self._waiting)
            with self._state:
                self._state.notify_all()
        for kind, _ in self._waiting:
            self._lose(kind, "closed")

    def _take(self) -> bool:
        """Write what comes next; False where the disk takes nothing."""
        some = [self._waiting[place] for place in range(min(len(self._waiting), AT_ONCE))]  # iterating would fail where somebody puts
        entries = self._made(some)
        try:
            done = len(self.outbox.append(entries)) if entries else 0
        except StoreError as error:
            self.fault = str(error)
            return self._keep(some, entries, 0)
        self.fault, self.written = "", self.written + done
        return self._keep(some, entries, done)

    def _keep(self, some: list[tuple[str, Made]], entries: list[Entry], done: int) -> bool:
        """Take those off the queue that are dealt with; put the rest back as made, so that they keep their ids."""
        for _ in some:
            self._waiting.popleft()
        self._waiting.extendleft((entry.kind, entry) for entry in reversed(entries[done:]))
        return done == len(entries)

    def _made(self, some: list[tuple[str, Made]]) -> list[Entry]:
        """What the outbox takes; one that cannot be made is lost alone."""
        found = list[Entry]()
        for kind, made in some:
            try:
                entry = made if isinstance(made, Entry) else made()
                found += [] if entry is None else [entry.sealed()]
            except Exception as error:  # the writer outlives whatever an entry is made of; the loss is counted
                self.fault = f"{type(error).__name__}: {error}"
                self._lose(kind, "not-made")
        return found

    def _lose(self, kind: str, reason: str) -> None:
        self.lost += 1
        self.outbox.lose(kind, reason)
