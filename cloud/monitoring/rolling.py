"""Minutes into hours, hours into days, once they have ended; and what is too old leaves.

A row of an hour or a day is made once, whole, from the finer rows; what comes late afterwards is merged into both (counting.py). So where
the row is there the finer ones are in it, and nothing has to be remembered beside the rows themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete

from ...sdk.core.window import Window
from .levels import DAY_MS, FINER, MINUTE_MS, SIZES, Level, floor
from .storing import QUALITY, TRAFFIC, Part, at, forget, put, spanned, starts
from .tables import COUNTS, EVENTS, FINDINGS
from .turn import Turn

WAIT_MS = 2 * MINUTE_MS
"""So long after its end an hour or a day is made: records may be on their way."""
AT_ONCE = 24
"""Of one transaction: whoever writes waits for it."""
KEEP_MS: Mapping[tuple[Level, Part], int] = {
    ("minute", TRAFFIC): 2 * DAY_MS, ("hour", TRAFFIC): 60 * DAY_MS, ("day", TRAFFIC): 1100 * DAY_MS, ("judged", TRAFFIC): 60 * DAY_MS,
    ("minute", QUALITY): 90 * DAY_MS, ("hour", QUALITY): 90 * DAY_MS, ("day", QUALITY): 1100 * DAY_MS,
}  # fmt: skip
KEEP_COUNTS_MS, KEEP_FINDINGS_MS, KEEP_EVENTS_MS = 100 * DAY_MS, 100 * DAY_MS, 400 * DAY_MS


def roll(turn: Turn, now_ms: int) -> int:
    """Make the hours and days that have ended; how many. Raises LostTurnError, SQLAlchemyError."""
    made = 0
    for level in ("hour", "day"):
        due = _due(turn, level, now_ms)
        for place in range(0, len(due), AT_ONCE):
            with turn.write() as connection:
                made += sum(_make(connection, turn.deployment, level, start) for start in due[place : place + AT_ONCE])
    return made


def tidy(turn: Turn, now_ms: int) -> None:
    """Remove what is older than it is kept; only behind `roll` and `judge`, which still need it. Raises LostTurnError, SQLAlchemyError."""
    name = turn.deployment
    with turn.write() as connection:
        forget(connection, name, {key: now_ms - kept for key, kept in KEEP_MS.items()})
        connection.execute(delete(COUNTS).where(COUNTS.c.deployment == name, COUNTS.c.start_ms < now_ms - KEEP_COUNTS_MS))
        connection.execute(delete(FINDINGS).where(FINDINGS.c.deployment == name, FINDINGS.c.end_ms < now_ms - KEEP_FINDINGS_MS))
        connection.execute(delete(EVENTS).where(EVENTS.c.deployment == name, EVENTS.c.at_ms < now_ms - KEEP_EVENTS_MS))


def _due(turn: Turn, level: Level, now_ms: int) -> list[int]:
    """Hours or days that have ended, have finer rows, and no row of their own; however old, for a monitor may have been away."""
    ended = floor(level, now_ms - WAIT_MS)
    with turn.database.read() as connection:
        finer = {floor(level, start) for start in starts(connection, turn.deployment, FINER[level], TRAFFIC, 0, ended)}
        return sorted(finer - starts(connection, turn.deployment, level, TRAFFIC, 0, ended).keys())


def _make(connection: Connection, deployment: str, level: Level, start_ms: int) -> int:
    if starts(connection, deployment, level, TRAFFIC, start_ms, start_ms + 1):
        return 0
    finer = FINER[level]
    parts = at(connection, deployment, finer, TRAFFIC, starts(connection, deployment, finer, TRAFFIC, start_ms, start_ms + SIZES[level]))
    whole = Window.merge_all([parts[place] for place in sorted(parts)])
    put(connection, deployment, level, TRAFFIC, spanned(whole, deployment, level, start_ms))
    return 1
