"""One round of a monitor: whose turn it is, what is new, what has ended, what is wrong, what is shown. The same for a replay.

Every step reads, works, and writes with its own cursor in one transaction, so a round may end anywhere and the next one goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from ...sdk.core.records import SHADOW
from ..alerts.state import Event
from ..monitor import Finding
from ..records.database import Database
from ..records.tables import RECORDS
from . import gauges, performing, rollouts, watching
from .about import About
from .absorbing import absorb
from .board import Said, boards
from .consuming import Consumer, wellbeing
from .counting import BATCH, Note, count, quiet
from .cursors import COUNT, read_cursor
from .judge import judge
from .levels import HOUR_MS, MINUTE_MS, floor
from .raising import raise_alerts, read_alerts
from .reading import findings, window_between
from .rolling import roll, tidy
from .turn import Turn

MOST_BATCHES = 50
"""Batches of one round: afterwards alerts and figures get their turn."""


COST = 20
"""Figures are made anew when so many times their own cost has passed."""


@dataclass(frozen=True)
class Round:
    """What a round did. `acted`: it was this monitor's turn; `waiting`: records were left for the next one."""

    acted: bool = False
    counted: int = 0
    waiting: bool = False
    spans: int = 0
    events: tuple[Event, ...] = ()


class Pipeline:
    """A monitor without a clock of its own.

    Args:
        turn: database and deployment.
        about: what is watched.
        clock: Unix milliseconds.
        targets: names of those to whom alerts are told.
        folder: of the boards of serving workers; None: there are none.
        note: told where the work stands.

    Attributes:
        figures: as they were written last.
    """

    def __init__(self, turn: Turn, about: About, clock: Callable[[], int], targets: Iterable[str] = (), folder: Path | None = None,
                 note: Note = quiet) -> None:  # fmt: skip
        self.turn, self.about, self.clock, self.folder = turn, about, clock, folder
        self.figures: gauges.Figures = {}
        self._targets, self._note = tuple(targets), note
        self.consumers = [Consumer(turn, about, hook, note) for hook in about.settings.every_hook]
        self._quality: tuple[int, list[Finding]] = (-1, [])
        self._tidied = self._shown = -1
        self._cost_ms = 0.0

    def step(self) -> Round:
        """One round. Raises LostTurnError, PortsideError, SQLAlchemyError; what was done until then stays done."""
        began, now = time.monotonic(), self.clock()
        if not self.turn.take(now):
            return Round()
        said = list(boards(self.folder)) if self.folder is not None else []
        if said:
            absorb(self.turn, said, now)
        counted, waiting = self._count()
        spans = 0 if waiting else self._judge(now)
        for consumer in self.consumers:
            consumer.hurry()
        live = self._live(now, said, waiting, time.monotonic() - began)
        events = raise_alerts(self.turn, self.about, live, now, self._targets, self._note)
        self._show(live, now, changed=bool(events or spans))
        return Round(True, counted, waiting, spans, tuple(events))

    def close(self) -> None:
        """End the hooks."""
        for consumer in self.consumers:
            consumer.close()

    def _count(self) -> tuple[int, bool]:
        """Records and labels counted, and whether more are there."""
        total = 0
        for _ in range(MOST_BATCHES):
            done = count(self.turn, self.about, self._note)
            total += done
            if done < BATCH:
                return total, False
        return total, True

    def _judge(self, now_ms: int) -> int:
        """Only when everything is counted: a minute is closed once nothing of it is on its way."""
        roll(self.turn, now_ms)
        spans = judge(self.turn, self.about, now_ms, self._note)
        if floor("hour", now_ms) != self._tidied:
            tidy(self.turn, now_ms)
            self._tidied = floor("hour", now_ms)
        return spans

    def _live(self, now_ms: int, said: Sequence[tuple[str, Said]], waiting: bool, seconds: float) -> list[Finding]:
        database, about = self.turn.database, self.about
        faults = [one.fault for _, one in said if one.fault]
        left = unread(database, about.name) if waiting else 0
        return [
            *watching.objectives(database, about, now_ms), watching.failing(faults),
            watching.lost_lately(database, about, now_ms, faults[-1] if faults else ""),
            watching.behind(left, seconds, about.settings.every_s), *self._quality_of(now_ms),
            *performing.findings(read_cursor(database, about.name, COUNT).data, about), *rollouts.findings(database, about.name, now_ms),
            *(wellbeing(consumer.name, consumer.stats) for consumer in self.consumers),
        ]  # fmt: skip

    def _quality_of(self, now_ms: int) -> list[Finding]:
        """Quality over days, looked at once a minute."""
        minute = floor("minute", now_ms)
        if self._quality[0] != minute:
            start, end = watching.quality_window(self.about, now_ms)
            window = window_between(self.turn.database, self.about.name, start, end)
            self._quality = (minute, watching.quality(window, self.about))
        return self._quality[1]

    def _show(self, live: Sequence[Finding], now_ms: int, changed: bool) -> None:
        """Figures, when something has changed and once a while: a round costs little where nothing happens."""
        if not changed and now_ms - self._shown < max(1000 * min(self.about.settings.every_s, 15.0), COST * self._cost_ms):
            return
        began = time.monotonic()
        database, name, end = self.turn.database, self.about.name, floor("minute", now_ms) + MINUTE_MS
        window = window_between(database, name, end - HOUR_MS, end)
        judged = newest(findings(database, name, since_ms=now_ms - 2 * self.about.settings.spans.minutes * MINUTE_MS))
        known = {(finding.name, finding.subject): finding for finding in (*judged, *live)}
        stats = {consumer.name: consumer.stats for consumer in self.consumers}
        self.figures = gauges.figures(window, known.values(), read_alerts(database, name).values(), stats)
        gauges.write(self.turn, self.figures, now_ms)
        self._shown, self._cost_ms = now_ms, (time.monotonic() - began) * 1e3


def newest(found: Iterable[Finding]) -> list[Finding]:
    """Of findings, newest first, the first of each name and subject."""
    kept: dict[tuple[str, str], Finding] = {}
    for finding in found:
        kept.setdefault((finding.name, finding.subject), finding)
    return list(kept.values())


def unread(database: Database, deployment: str) -> int:
    """Records that are not counted yet. Raises SQLAlchemyError."""
    held = read_cursor(database, deployment, COUNT)
    with database.read() as connection:
        query = select(func.count()).where(RECORDS.c.seq > held.records, RECORDS.c.name == deployment, RECORDS.c.arm != SHADOW)
        return connection.execute(query).scalar_one()
