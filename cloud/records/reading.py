"""Reading records and labels: from a cursor on, by id, by time. Everything that watches a deployment starts here.

A cursor is the largest `seq` that was dealt with; `after` gives what was committed since, in that order, and misses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Executable, Row, select
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import FormatError
from ...sdk.core.labels import Label, newest
from ...sdk.core.records import SHADOW, Record
from ...sdk.core.signature import Signature
from .database import Database, reason
from .rows import read
from .tables import COLUMNS, DEPLOYMENTS, LABEL_COLUMNS, LABELS, RECORDS

MANY = 500
"""Ids of one statement, and rows that are fetched at once."""
_RECORD = tuple(RECORDS.c[name] for name in COLUMNS)
_LABEL = tuple(LABELS.c[name] for name in LABEL_COLUMNS)


def after(database: Database, seq: int, limit: int = 1000, deployment: str | None = None,
          shadows: bool = False) -> list[tuple[int, Record]]:  # fmt: skip
    """(seq, record) of what was committed after the cursor `seq`, in commit order; at most `limit`. `deployment`: only that name's.

    `shadows`: also those of challengers that answered beside the champion; nobody was given their answers, so they are no traffic.

    Raises FormatError.
    """
    query = select(RECORDS.c.seq, *_RECORD).where(RECORDS.c.seq > seq).order_by(RECORDS.c.seq).limit(limit)
    if deployment is not None:
        query = query.where(RECORDS.c.name == deployment)
    if not shadows:
        query = query.where(RECORDS.c.arm != SHADOW)
    return [(row[0], read(tuple(row[1:]))) for row in _rows(database, query)]


def find(database: Database, id: str) -> Record | None:  # noqa: A002  the word of records
    """The record of this id. Raises FormatError."""
    for row in _rows(database, select(*_RECORD).where(RECORDS.c.id == id)):
        return read(tuple(row))
    return None


def between(database: Database, start_ms: int, end_ms: int, deployment: str | None = None, limit: int | None = None,
            newest_first: bool = False, entity: str | None = None, shadows: bool = False) -> Iterator[Record]:  # fmt: skip
    """Records with `start_ms` <= server_ms < `end_ms`, by time, fetched as asked for. `shadows`: see `after`. Raises FormatError."""
    time = RECORDS.c.server_ms
    query = select(*_RECORD).where(time >= start_ms, time < end_ms)
    if not shadows:
        query = query.where(RECORDS.c.arm != SHADOW)
    if deployment is not None:
        query = query.where(RECORDS.c.name == deployment)
    if entity is not None:
        query = query.where(RECORDS.c.entity == entity)
    order = (time.desc(), RECORDS.c.seq.desc()) if newest_first else (time, RECORDS.c.seq)
    return _streamed(database, query.order_by(*order).limit(limit))


def records(where: str | Path) -> Iterator[Record]:
    """Every record of a database, in commit order. Raises FormatError for a place that holds none."""
    with Database.open(where) as database:
        yield from _streamed(database, select(*_RECORD).order_by(RECORDS.c.seq))


def parts(database: Database, parent: str) -> list[Record]:
    """The records of a graph's steps, or of the shadows of an answer, by the id of their parent. Raises FormatError."""
    query = select(*_RECORD).where(RECORDS.c.parent == parent).order_by(RECORDS.c.seq)
    return [read(tuple(row)) for row in _rows(database, query)]


def labels_after(database: Database, seq: int, limit: int = 1000) -> list[tuple[int, Label]]:
    """(seq, label) of what was committed after the cursor `seq`, in commit order. Raises FormatError."""
    query = select(LABELS.c.seq, *_LABEL).where(LABELS.c.seq > seq).order_by(LABELS.c.seq).limit(limit)
    return [(row[0], _label(row[1:])) for row in _rows(database, query)]


def labels_of(database: Database, record_ids: Collection[str]) -> dict[tuple[str, int], Label]:
    """(record, row) -> the label that counts, of these records. Raises FormatError."""
    return newest(every_label(database, record_ids))


def every_label(database: Database, record_ids: Iterable[str]) -> list[Label]:
    """All labels of these records, corrected ones included, in commit order within a record. Raises FormatError."""
    ids, found = list(record_ids), list[Label]()
    for start in range(0, len(ids), MANY):
        query = select(*_LABEL).where(LABELS.c.record.in_(ids[start : start + MANY])).order_by(LABELS.c.seq)
        found += [_label(row) for row in _rows(database, query)]
    return found


def signature_of(database: Database, name: str, digest: str | None = None) -> Signature | None:
    """The signature of a deployment by name: of its newest version, or of that digest. None: no server has said. Raises FormatError."""
    table = DEPLOYMENTS.c
    query = select(table.signature).where(table.name == name).order_by(table.seen_ms.desc()).limit(1)
    for row in _rows(database, query if digest is None else query.where(table.digest == digest)):
        return Signature.from_dict(json.loads(row[0]))
    return None


def deployments(database: Database) -> list[tuple[str, str]]:
    """(name, digest) of every deployment version that was served, the newest last; steps of graphs as "graph/step". Raises FormatError."""
    query = select(DEPLOYMENTS.c.name, DEPLOYMENTS.c.digest).order_by(DEPLOYMENTS.c.seen_ms)
    return [(row.name, row.digest) for row in _rows(database, query)]


def _rows(database: Database, query: Executable) -> Sequence[Row[Any]]:
    try:
        with database.read() as connection:
            return connection.execute(query).all()
    except SQLAlchemyError as error:
        raise _unreadable(database, error) from error


def _streamed(database: Database, query: Executable) -> Iterator[Record]:
    try:
        with database.read() as connection:
            for row in connection.execution_options(yield_per=MANY).execute(query):
                yield read(tuple(row))
    except (SQLAlchemyError, ValueError) as error:
        raise _unreadable(database, error) from error


def _unreadable(database: Database, error: Exception) -> FormatError:
    return FormatError(f"The records cannot be read: {reason(error)}", got=database.place)


def _label(values: Sequence[Any]) -> Label:
    data = dict(zip(LABEL_COLUMNS, values, strict=True))
    return Label.from_dict({**data, "values": json.loads(data["outputs"])})
