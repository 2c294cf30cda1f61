"""Deliveries: what is owed to webhooks and Alertmanager is tried until it was taken, by a thread that nobody waits for.

A delivery is owed from the transaction that wrote its event on, and done when the receiver has taken it; a monitor killed in between
tries again with the same id. So nothing is lost, and what comes twice is known to be the same.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import StoreError
from ..alerts.state import Alert, Event
from ..alerts.targets import Targets, wait_s
from .counting import Note, quiet
from .levels import DAY_MS
from .raising import read_alerts
from .tables import DELIVERIES, EVENTS
from .turn import LostTurnError, Turn

AT_ONCE = 20
GIVE_UP_MS = DAY_MS
REPEAT_MS = 60_000
log = logging.getLogger("portside.monitor")


class Courier:
    """Delivers for one deployment.

    Args:
        turn: only who has it delivers.
        targets: where to.
        clock: Unix milliseconds.
    """

    def __init__(self, turn: Turn, targets: Targets, clock: Callable[[], int], note: Note = quiet) -> None:
        self._turn, self._targets, self._clock, self._note = turn, targets, clock, note
        self._hurry, self._closed, self._repeated = threading.Event(), False, 0
        self._thread = threading.Thread(target=self._run, name="portside-courier", daemon=True)

    def start(self) -> None:
        """Begin, where there is anybody to tell."""
        if self._targets.urls:
            self._thread.start()

    def hurry(self) -> None:
        """There is something to deliver."""
        self._hurry.set()

    def close(self, seconds: float = 5.0) -> None:
        """End; what is owed stays owed."""
        self._closed = True
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def deliver(self) -> int:
        """Try what is due, once; how many were taken. Nothing while it is another's turn. Raises LostTurnError, SQLAlchemyError."""
        taken = 0
        for target, attempts, event in self._due() if self._turn.mine() else ():
            fault = self._tell(target, event)
            self._note("told")
            self._settle(target, event, attempts + 1, fault)
            taken += not fault
        return taken

    def _run(self) -> None:
        while not self._closed:
            self._hurry.wait(1.0)
            self._hurry.clear()
            try:
                while not self._closed and self.deliver():
                    pass
                self._repeat()
            except (LostTurnError, SQLAlchemyError) as error:  # the next round tries again
                log.warning("Alerts wait: %s", type(error).__name__)

    def _tell(self, target: str, event: Event) -> str:
        """What went wrong, or nothing."""
        try:
            self._targets.tell(target, event, self._clock())
        except StoreError as error:
            log.warning("%s: %s", event.alert.name, error)
            return str(error)[:300]
        return ""

    def _due(self) -> list[tuple[str, int, Event]]:
        """(target, attempts, event) that are to be tried now, the oldest first."""
        table = DELIVERIES.c
        query = select(table.target, table.attempts, EVENTS.c.id, EVENTS.c.at_ms, EVENTS.c.data).join(EVENTS, EVENTS.c.id == table.event)
        query = query.where(table.deployment == self._turn.deployment, table.done_ms.is_(None), table.next_ms <= self._clock())
        with self._turn.database.read() as connection:
            rows = connection.execute(query.where(table.target.in_(self._targets.urls)).order_by(EVENTS.c.seq).limit(AT_ONCE)).all()
        return [(row[0], row[1], Event(row[2], Alert.from_dict(json.loads(row[4])), row[3])) for row in rows]

    def _settle(self, target: str, event: Event, attempts: int, fault: str) -> None:
        now = self._clock()
        late = fault and now - event.at_ms > GIVE_UP_MS
        values = {"attempts": attempts, "fault": fault, "next_ms": now + int(wait_s(attempts) * 1e3)}
        if not fault or late:
            values["done_ms"] = now
        with self._turn.write() as connection:
            table = DELIVERIES.c
            connection.execute(update(DELIVERIES).where(table.event == event.id, table.target == target).values(values))

    def _repeat(self) -> None:
        """Alertmanager forgets what is not repeated."""
        now = self._clock()
        if now - self._repeated < REPEAT_MS:
            return
        self._repeated = now
        firing = [alert for alert in read_alerts(self._turn.database, self._turn.deployment).values() if alert.state == "firing"]
        try:
            self._targets.repeat(firing, now)
        except StoreError as error:
            log.warning("Alerts cannot be repeated: %s", error)
