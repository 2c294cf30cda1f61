"""Rows into PostgreSQL by COPY, several times as fast as any INSERT of so many values: text that the server reads as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from .draft import Row
from .tables import COLUMNS

COPY = f"COPY records ({', '.join(COLUMNS)}) FROM STDIN"
_UNIQUE = "23505"
"""PostgreSQL's word for an id that is there already."""


def copied(connection: Connection, rows: Sequence[Row]) -> bool:
    """Write rows, in their order; False, with nothing written, where one of their ids is there already.

    Raises SQLAlchemyError as its own statements do, UnicodeEncodeError for text that is none.
    """
    text = "".join(map(line, rows)).encode()
    try:
        with connection.begin_nested():
            _copy(connection, text)
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != _UNIQUE:
            raise
        return False
    return True


def line(row: Sequence[Any]) -> str:
    """A row as COPY reads it: fields between tabs, and what would end a field or a row behind a backslash."""
    return "\t".join(map(_field, row)) + "\n"


def _field(value: Any) -> str:
    if type(value) is str:
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return r"\N" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def _copy(connection: Connection, text: bytes) -> None:
    """SQLAlchemy knows no COPY: the driver's own cursor does it, and its errors become SQLAlchemy's."""
    dialect: Any = connection.dialect
    raw: Any = connection.connection.dbapi_connection
    try:
        with raw.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.write(text)
    except dialect.dbapi.Error as error:
        lost = dialect.is_disconnect(error, raw, None)
        raise DBAPIError.instance(COPY, None, error, dialect.dbapi.Error, connection_invalidated=lost, dialect=dialect) from error
