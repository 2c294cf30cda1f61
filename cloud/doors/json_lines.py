"""Lines of JSON to stderr, written by a thread of its own: a log that nobody reads must not stop the server.

What does not fit into the queue is lost and counted; the next line that is written says how many.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import orjson

QUEUE = 10_000


class JsonLines:
    """A writer of lines. `file`: descriptor; `queue`: entries that may wait."""

    def __init__(self, file: int = 2, queue: int = QUEUE) -> None:
        self._file, self._limit, self.lost, self.lost_ever = file, queue, 0, 0
        self._entries: SimpleQueue[tuple[Any, Callable[[Any], dict[str, Any]]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, entry: Any, render: Callable[[Any], dict[str, Any]]) -> None:
        """Write `render(entry)`, called by the writing thread. Never blocks."""
        if self._entries.qsize() >= self._limit:
            self.lost += 1
            self.lost_ever += 1
            return
        self._entries.put((entry, render))
        if self._thread is None:
            self._start()

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, within this time."""
        if self._thread is not None:
            self._entries.put(None)
            self._thread.join(seconds)
            self._thread = None

    def page(self) -> list[str]:
        """As Prometheus text."""
        name = "portside_log_lines_lost_total"
        return [f"# HELP {name} Lines of the log that found its queue full.", f"# TYPE {name} counter", f"{name} {self.lost_ever}"]

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._write, name="portside-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _write(self) -> None:
        while (entry := self._entries.get()) is not None:
            lost, self.lost = self.lost, 0
            data = entry[1](entry[0])
            try:
                _all(self._file, orjson.dumps({**data, "lost_lines": lost} if lost else data, default=str) + b"\n")
            except OSError:  # stderr is closed or its disk is full: the server goes on
                self.lost += lost + 1
                time.sleep(0.1)


def _all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
