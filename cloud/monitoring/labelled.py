"""How right labelled records were, by minute. Made anew from the records and their newest labels whenever one of them comes or is
corrected: what is made twice is the same, so nothing has to be taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from ...sdk.core.records import SHADOW, Record
from ...sdk.core.window import Window
from ..records.database import Database
from ..records.reading import labels_of
from ..records.rows import read
from ..records.tables import COLUMNS, LABELS, RECORDS
from .about import About
from .levels import FINER, MINUTE_MS, SIZES, Level, floor
from .storing import QUALITY, at, drop, put, spanned, starts
from .summing import quality_of

_AT_ONCE = 400
_RECORD = tuple(RECORDS.c[name] for name in COLUMNS)


def minutes_of(database: Database, deployment: str, records: Collection[str]) -> set[int]:
    """The minutes in which these records were answered; those of other deployments, or not kept, are left out."""
    ids, found = list(records), set[int]()
    with database.read() as connection:
        for place in range(0, len(ids), _AT_ONCE):
            query = select(RECORDS.c.server_ms).where(RECORDS.c.id.in_(ids[place : place + _AT_ONCE]), RECORDS.c.name == deployment)
            found |= {floor("minute", row[0]) for row in connection.execute(query)}
    return found


def judged(database: Database, about: About, start_ms: int, end_ms: int) -> Window:
    """How right the labelled records of a span were; nothing else of them."""
    records = labelled(database, about.name, start_ms, end_ms)
    return quality_of(records, labels_of(database, [record.id for record in records]), about) if records else Window()


def judged_minutes(database: Database, about: About, minutes: Collection[int]) -> dict[int, Window]:
    """The same for each of these minutes."""
    return {start: judged(database, about, start, start + MINUTE_MS) for start in sorted(minutes)}


def labelled(database: Database, deployment: str, start_ms: int, end_ms: int, newest: int | None = None) -> list[Record]:
    """Records of a span that have a label, by time; `newest`: only so many, the newest first."""
    table = RECORDS.c
    known = select(LABELS.c.record).where(LABELS.c.record == table.id).exists()
    traffic = (table.name == deployment, table.arm != SHADOW)
    query = select(*_RECORD).where(table.server_ms >= start_ms, table.server_ms < end_ms, *traffic, known)
    ordered = query.order_by(table.server_ms, table.seq) if newest is None else query.order_by(table.server_ms.desc()).limit(newest)
    with database.read() as connection:
        return [read(tuple(row)) for row in connection.execute(ordered)]


def replace_quality(connection: Connection, deployment: str, minutes: Mapping[int, Window]) -> None:
    """Put the quality of these minutes in the place of what was there, and make that of their hours and days anew."""
    for start, window in minutes.items():
        _replace(connection, deployment, "minute", start, window)
    for level in ("hour", "day"):
        for start in sorted({floor(level, minute) for minute in minutes}):
            finer = FINER[level]
            held = starts(connection, deployment, finer, QUALITY, start, start + SIZES[level])
            parts = at(connection, deployment, finer, QUALITY, held)
            _replace(connection, deployment, level, start, Window.merge_all([parts[place] for place in sorted(parts)]))


def _replace(connection: Connection, deployment: str, level: Level, start_ms: int, window: Window) -> None:
    if window.quality:
        put(connection, deployment, level, QUALITY, spanned(window, deployment, level, start_ms))
    else:
        drop(connection, deployment, level, QUALITY, [start_ms])
