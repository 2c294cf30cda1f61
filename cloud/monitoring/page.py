"""The monitor's figures on `/metrics` of a serving worker: read from the database in a thread, shown from memory.

The page never waits for the database: it shows what was read last, and lets it be read again when that is older than five seconds.
Where the monitor has not written for a while only `portside_monitor_up 0` is left: an old figure would look like a new one.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import PortsideError
from ..records.database import Database
from .gauges import ABOUT
from .tables import GAUGES

FRESH_S = 5.0
STALE_MS = 90_000
log = logging.getLogger("portside.monitor")


class Page:
    """Lines of the deployments of one server.

    Args:
        sources: name -> gives its database, opened when it is first read.
        clock: Unix milliseconds.
    """

    def __init__(self, sources: Mapping[str, Callable[[], Database]], clock: Callable[[], int] | None = None) -> None:
        self._sources, self._clock = dict(sources), clock or (lambda: time.time_ns() // 1_000_000)
        self._databases: dict[str, Database] = {}
        self._lines, self._read_s, self._reading = list[str](), 0.0, threading.Lock()

    def lines(self) -> list[str]:
        """Prometheus text, as it was a moment ago; empty the first time."""
        if time.monotonic() - self._read_s > FRESH_S and self._reading.acquire(blocking=False):
            threading.Thread(target=self._look, name="portside-monitor-page", daemon=True).start()
        return self._lines

    def read(self) -> list[str]:
        """Read now. A database that cannot be read has nobody who monitors."""
        rows: list[tuple[str, str, float]] = []
        for name in self._sources:
            try:
                rows += self._rows(name)
            except (PortsideError, SQLAlchemyError) as error:
                log.warning("The figures of %s cannot be read: %s", name, type(error).__name__)
                rows.append(_silent(name))
        return text(sorted(rows))

    def close(self) -> None:
        """Give the databases back."""
        for database in self._databases.values():
            database.close()

    def _rows(self, name: str) -> list[tuple[str, str, float]]:
        """(figure, labels as JSON, value) of one deployment."""
        if name not in self._databases:
            self._databases[name] = self._sources[name]()
        query = select(GAUGES.c.name, GAUGES.c.labels, GAUGES.c.value, GAUGES.c.at_ms).where(GAUGES.c.deployment == name)
        with self._databases[name].read() as connection:
            rows = connection.execute(query).all()
        if not rows or self._clock() - max(row[3] for row in rows) > STALE_MS:
            return [_silent(name)]
        return [(row[0], json.dumps({"deployment": name, **json.loads(row[1])}), row[2]) for row in rows]

    def _look(self) -> None:
        try:
            self._lines = self.read()
        finally:
            self._read_s = time.monotonic()
            self._reading.release()


def text(rows: Iterable[tuple[str, str, float]]) -> list[str]:
    """(name, labels as JSON, value), sorted by name, as lines of Prometheus text."""
    lines, last = list[str](), ""
    for name, labels, value in rows:
        if name != last:
            lines += [f"# HELP {name} {ABOUT.get(name, '')}".rstrip(), f"# TYPE {name} gauge"]
            last = name
        lines.append(f"{name}{{{','.join(_label(key, str(held)) for key, held in json.loads(labels).items())}}} {value:.9g}")
    return lines


def _silent(name: str) -> tuple[str, str, float]:
    return "portside_monitor_up", json.dumps({"deployment": name}), 0.0


def _label(key: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{key}="{escaped}"'
