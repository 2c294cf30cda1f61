"""Deleting records, and all that belongs to them: by subject when a person asks for it, by age and size as the deployment says.

What belongs to a record: the records of a graph's steps, and rows of every table of the database that has a column `record`: labels,
reviews, whatever other parts add. Summaries of many records (windows of the monitor) stay.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import Column, Connection, Executable, MetaData, Table, Text, delete, func, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import StoreError
from .database import WAIT_S, Database, reason
from .tables import RECORDS

MANY = 500
"""Ids of one statement, and records that one step of `expire` deletes: writers wait for it a few milliseconds."""
WIPE_S = 10.0
PAGES = 1000
"""Free pages that one step gives back to the file system."""
T = TypeVar("T")
DAY_MS = 86_400_000
SAMPLE = 200
ROW_BYTES = 300
"""About what a record takes beside its JSON, indexes included."""


@dataclass(frozen=True)
class Keep:
    """For how long records are kept.

    Attributes:
        days: older ones are deleted; None: they stay.
        mb: the oldest are deleted while all records take more megabytes than this; None: they stay.
    """

    days: float | None = None
    mb: float | None = None


@dataclass(frozen=True)
class Forgotten:
    """What was deleted. `rows`: table -> rows; `wiped`: nothing is left in the file's free pages and log either (SQLite)."""

    rows: dict[str, int]
    wiped: bool


def forget_entity(database: Database, entity: str, *others: Callable[[Connection, str], Mapping[str, int]]) -> Forgotten:
    """Delete every record about an entity, in one transaction. Records that still wait in a server's queue come later: ask again.

    On SQLite the bytes are overwritten and the log is emptied; on PostgreSQL they are gone after the next vacuum.

    Args:
        others: what else knows of entities: deletes that within the transaction, and says table -> rows.

    Raises StoreError.
    """
    try:
        with database.write() as connection:
            if database.kind == "sqlite":
                connection.execute(text("PRAGMA secure_delete = ON"))
            rows = forget(connection, ids_of(connection, entity))
            for other in others:
                rows |= other(connection, entity)
        return Forgotten(rows, _wiped(database))
    except SQLAlchemyError as error:
        raise StoreError(f"The records cannot be deleted: {reason(error)}", got=database.place,
                         fix="Nothing was deleted; try again.") from error  # fmt: skip


def ids_of(connection: Connection, entity: str) -> list[str]:
    """Ids of the records about an entity, those of graphs with the records of their steps."""
    found = list(connection.execute(select(RECORDS.c.id).where(RECORDS.c.entity == entity)).scalars())
    known = set(found)
    for part in _parts(found):
        steps = connection.execute(select(RECORDS.c.id).where(RECORDS.c.parent.in_(part))).scalars()
        found += [step for step in steps if step not in known]
    return found


def forget(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Delete records by id, and what belongs to them, within the caller's transaction; table -> rows deleted."""
    tables = {"records": RECORDS.c.id, **{name: table.c.record for name, table in _belonging(connection)}}
    counts = dict.fromkeys(tables, 0)
    for part in _parts(ids):
        for name, column in tables.items():
            counts[name] += connection.execute(delete(column.table).where(column.in_(part))).rowcount
    return {name: count for name, count in counts.items() if count or name == "records"}


def expire(database: Database, keep: Keep, now_ms: int, most: int = MANY) -> int:
    """Delete the oldest records that need not be kept, `most` of them at most, in one short transaction; how many.

    Raises SQLAlchemyError.
    """
    with database.read() as connection:
        if not _due(connection, keep, now_ms, most):
            return 0
    with database.write() as connection:
        ids = _due(connection, keep, now_ms, most)
        if ids:
            forget(connection, ids)
    if ids and database.kind == "sqlite":
        with contextlib.suppress(sqlite3.OperationalError):  # somebody writes: the pages are used again, or given back next time
            _outside(database, lambda connection: connection.executescript(f"PRAGMA incremental_vacuum({PAGES})"))
    return len(ids)


def spread(connection: Connection) -> tuple[int, float]:
    """(records, bytes of one): about, from the numbers of the newest and the oldest, and what some of them hold."""
    first, last = connection.execute(select(func.min(RECORDS.c.seq), func.max(RECORDS.c.seq))).one()
    if first is None:
        return 0, 0.0
    held = sum((func.length(RECORDS.c[name]) for name in ("features", "outputs", "receipt", "flags")), func.length(RECORDS.c.inputs))
    lengths = [length for order in (RECORDS.c.seq, RECORDS.c.seq.desc())
               for length in connection.execute(select(held).order_by(order).limit(SAMPLE)).scalars()]  # fmt: skip
    return last - first + 1, ROW_BYTES + sum(lengths) / len(lengths)


def _due(connection: Connection, keep: Keep, now_ms: int, most: int) -> list[str]:
    """Ids of the oldest records that need not be kept."""
    found: list[str] = []
    if keep.days is not None:
        moment = RECORDS.c.server_ms
        found = _ids(connection, select(RECORDS.c.id).where(moment < now_ms - int(keep.days * DAY_MS)).order_by(moment).limit(most))
    if not found and keep.mb is not None:
        count, each = spread(connection)
        over = int((count * each - keep.mb * (1 << 20)) / each) if count else 0
        found = _ids(connection, select(RECORDS.c.id).order_by(RECORDS.c.seq).limit(min(most, over))) if over > 0 else []
    return found


def _ids(connection: Connection, query: Executable) -> list[str]:
    return list(connection.execute(query).scalars())


def _belonging(connection: Connection) -> Iterable[tuple[str, Table]]:
    """Tables whose column `record` holds a record's id."""
    seen = inspect(connection)
    for name in sorted(seen.get_table_names()):
        if name != "records" and any(column["name"] == "record" for column in seen.get_columns(name)):
            yield name, Table(name, MetaData(), Column("record", Text()))


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + MANY] for start in range(0, len(ids), MANY))


def _wiped(database: Database) -> bool:
    """Empty the log of a SQLite file, in which deleted rows still stand; False while somebody reads by it, or on PostgreSQL."""
    if database.kind != "sqlite":
        return False
    ends = time.monotonic() + WIPE_S
    while _outside(database, lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]):
        if time.monotonic() >= ends:
            return False
        time.sleep(0.05)
    return True


def _outside(database: Database, work: Callable[[sqlite3.Connection], T]) -> T:
    """What SQLite does outside transactions only; it gives up at once where somebody is in the way."""
    raw = database.engine.raw_connection()
    connection = cast("sqlite3.Connection", raw.driver_connection)
    try:
        connection.execute("PRAGMA busy_timeout = 50")
        return work(connection)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")
        raw.close()
