"""Reviews into the database: durable before the answer leaves where a caller is told that it waits, off the request path otherwise.

One thread writes whatever has gathered in one transaction, so that many callers share one sync of the disk. Checks wait in a bounded
queue; what finds it full is lost, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...sdk.core.errors import PortsideError
from ..records.database import Database
from ..review.item import Item
from ..review.queue import enqueue, prepare

BATCH = 256
PAUSE_S = 0.5
URGENT = 10_000
"""Answers that may wait for the disk."""


class _Asked(NamedTuple):
    items: Sequence[Item]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class ReviewWriter:
    """Writes reviews of one server process.

    Args:
        where: the records database.
        size: checks that may wait.

    Attributes:
        where: the same.
        written, lost: counts of reviews. fault: the last error of the database, or "".

    Raises FormatError, MissingExtraError where the database cannot be opened.
    """

    def __init__(self, where: str | Path, size: int = 1000) -> None:
        self.where, self.written, self.lost, self.fault = where, 0, 0, ""
        self._size, self._closed = size, False
        self._database = Database.open(where)
        prepare(self._database)
        self._urgent: deque[_Asked] = deque()
        self._later: deque[Item] = deque()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="portside-reviews", daemon=True)
        self._thread.start()

    def later(self, items: Sequence[Item]) -> None:
        """Write some time. Never blocks."""
        room = 0 if self._closed else max(self._size - len(self._later), 0)
        self.lost += max(len(items) - room, 0)
        self._later.extend(items[:room])

    async def now(self, items: Sequence[Item]) -> None:
        """Durable when it returns. Raises PortsideError where they cannot be written: none of them is there then, as far as is known."""
        if self._closed or len(self._urgent) >= URGENT:
            self.lost += len(items)
            raise PortsideError("Too many reviews wait to be written, or the service is shutting down", got=len(self._urgent))
        loop = asyncio.get_running_loop()
        asked = _Asked(items, loop, loop.create_future())
        self._urgent.append(asked)
        self._wake.set()
        await asked.done

    def close(self, seconds: float = 10.0) -> None:
        """Write what waits, end the thread, give the database back."""
        self._closed = True
        self._wake.set()
        self._thread.join(seconds)
        self._database.close()

    def _write_all(self) -> None:
        while not self._closed or self._urgent or self._later:
            self._wake.wait(PAUSE_S)
            self._wake.clear()
            while self._urgent or self._later:
                self._write_urgent([self._urgent.popleft() for _ in range(min(len(self._urgent), BATCH))])
                self._write_later([self._later.popleft() for _ in range(min(len(self._later), BATCH))])

    def _write_urgent(self, batch: list[_Asked]) -> None:
        """All in one transaction; where that fails, each by itself, so that a row that cannot be kept harms its own caller alone."""
        if not batch or self._stored([item for asked in batch for item in asked.items]) is None:
            for asked in batch:
                _tell(asked, None)
            return
        for asked in batch:
            error = self._stored(asked.items)
            self.lost += len(asked.items) if error is not None else 0
            _tell(asked, error)

    def _write_later(self, batch: list[Item]) -> None:
        if batch and self._stored(batch) is not None:
            self.lost += sum(self._stored([item]) is not None for item in batch)

    def _stored(self, items: Sequence[Item]) -> PortsideError | None:
        """Write in one transaction; what went wrong, or None."""
        try:
            enqueue(self._database, items)
        except PortsideError as error:
            self.fault = str(error)
            return error
        except Exception as error:  # the writer outlives whatever an item holds; its caller is told, and the loss counted
            self.fault = f"{type(error).__name__}: {error}"
            return PortsideError(f"A review cannot be written: {self.fault}")
        self.written += len(items)
        return None


def _tell(asked: _Asked, error: PortsideError | None) -> None:
    """Let the caller go on, unless its loop is gone."""

    def settle() -> None:
        if not asked.done.done():  # the caller may have left
            asked.done.set_result(None) if error is None else asked.done.set_exception(error)

    with contextlib.suppress(RuntimeError):  # its loop is closed
        asked.loop.call_soon_threadsafe(settle)
