"""Alerts while the database cannot be written: a full disk must not silence the alert that says so.

What workers put on their boards is judged in memory, from the alerts as they were last known, and told at once. When the database
takes writes again the alerts and what was told are saved, marked as told, and the usual rounds go on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...sdk.core.errors import StoreError
from ..alerts.judging import judged
from ..alerts.slo import Counts
from ..alerts.state import Alert, Event
from ..alerts.targets import Targets
from ..monitor import Finding
from .about import About
from .absorbing import RECORDS, added_of
from .board import boards
from .raising import alerts_of, save
from .turn import Turn
from .watching import failing, lost

log = logging.getLogger("portside.monitor")


class Emergency:
    """Of one deployment, from the first round that failed on.

    Args:
        about: its rules.
        targets: whom to tell.
        folder: of the boards.
        alerts: as they were last known.
        absorbed: what was taken from the boards already, by board.
    """

    def __init__(self, about: About, targets: Targets, folder: Path, alerts: Mapping[tuple[str, str], Alert],
                 absorbed: Mapping[str, Mapping[str, int]]) -> None:  # fmt: skip
        self._about, self._targets, self._folder = about, targets, folder
        self._alerts, self._seen = dict(alerts), {name: dict(counts) for name, counts in absorbed.items()}
        self.told = list[Event]()
        self._owed = list[Event]()

    def step(self, now_ms: int, every_s: float, fault: str) -> list[Event]:
        """Judge what the boards say now, and tell; what was told.

        Args:
            fault: why the database does not take writes: a monitor that cannot write has lost its own work, which is told too.
        """
        words = dict(boards(self._folder))
        counts = added_of(words, self._seen)[RECORDS]
        self._seen |= {name: dict(one.counts) for name, one in words.items()}
        faults = [one.fault for one in words.values() if one.fault] or [fault]
        found = [self._lost(counts, every_s, faults[0]), failing(faults)]
        kept, events = judged(self._alerts, self._about.rules, found, now_ms, self._about.name)
        self._alerts = kept
        self._owed += events
        self._owed = [event for event in self._owed if not self._tell(event, now_ms)]
        return events

    def save(self, turn: Turn, now_ms: int) -> None:
        """Into the database, which takes writes again. Raises LostTurnError, SQLAlchemyError."""
        with turn.write() as connection:
            before = alerts_of(connection, self._about.name)
            save(connection, self._about.name, before, before | self._alerts, self.told, self._targets.urls, now_ms, told=True)
            save(connection, self._about.name, before, before, self._owed, self._targets.urls, now_ms)

    def _lost(self, counts: Counts, every_s: float, fault: str) -> Finding:
        """That none was lost since the last round is no proof that it is well."""
        held = lost(counts, every_s, fault)
        return held if held.verdict == "breach" else replace(held, verdict="not enough data")

    def _tell(self, event: Event, now_ms: int) -> bool:
        """Everybody has taken it."""
        try:
            for target in self._targets.urls:
                self._targets.tell(target, event, now_ms)
        except StoreError as error:
            log.warning("%s: %s", event.alert.name, error)
            return False
        self.told.append(event)
        return True
