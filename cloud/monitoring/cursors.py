"""How far a consumer has come. Its cursor moves in the transaction that holds what was made of what it passed: both, or neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from ..records.database import Database
from .tables import CURSORS
from .upsert import upsert

COUNT, JUDGE, ALERT = "count", "judge", "alert"
"""Consumers: who counts records into windows, who judges spans, who raises alerts. Hooks are "hook:NAME"."""


@dataclass(frozen=True)
class Cursor:
    """`records`, `labels`: the largest `seq` that was dealt with. `windows`: of spans, the end in ms; of findings, their `seq`."""

    records: int = 0
    labels: int = 0
    windows: int = 0
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_cursor(database: Database, deployment: str, consumer: str) -> Cursor:
    """Where it stands; at the beginning where it never was. Raises SQLAlchemyError."""
    with database.read() as connection:
        return cursor_of(connection, deployment, consumer)


def cursor_of(connection: Connection, deployment: str, consumer: str) -> Cursor:
    """The same within a transaction."""
    table = CURSORS.c
    query = select(table.records, table.labels, table.windows, table.data)
    row = connection.execute(query.where(table.deployment == deployment, table.consumer == consumer)).first()
    return Cursor() if row is None else Cursor(row[0], row[1], row[2], json.loads(row[3]))


def move(connection: Connection, deployment: str, consumer: str, cursor: Cursor) -> None:
    """Let it stand there, when the transaction ends well."""
    values = {"records": cursor.records, "labels": cursor.labels, "windows": cursor.windows, "data": json.dumps(dict(cursor.data))}
    upsert(connection, CURSORS, {"deployment": deployment, "consumer": consumer}, values)
