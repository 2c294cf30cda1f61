"""Tables made where they are not there, and those of an older version carried over, in one transaction.

The version is `PRAGMA user_version` of a SQLite file and the row of `portside_version` on PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from ...sdk.core.errors import FormatError
from .tables import METADATA, OWN, RECORDS, VERSION


def current(connection: Connection, kind: str) -> bool:
    """Whether a database is of `VERSION`. Raises FormatError for what a newer Portside wrote."""
    held = _version(connection, kind)
    if held > VERSION:
        raise FormatError("The records were written by another version of Portside", got=held, expected=VERSION,
                          fix="Name another place under [records], or install that version.")  # fmt: skip
    return held == VERSION


def migrate(connection: Connection, kind: str) -> None:
    """Bring a database to `VERSION`, unless somebody has meanwhile. `connection` is one that writes. Raises FormatError."""
    if current(connection, kind):
        return
    held = _version(connection, kind)
    if held == 1:
        connection.execute(text("ALTER TABLE records RENAME TO records_v1"))
    METADATA.create_all(connection, tables=list(OWN))
    if held == 1:
        _carry(connection)
    _set_version(connection, kind)


def _carry(connection: Connection) -> None:
    """Records of version 1, oldest first, into the tables of today. Their deployment's name was not kept."""
    kept = {column["name"] for column in inspect(connection).get_columns("records_v1")}
    shared = [column.name for column in RECORDS.columns if column.name in kept]
    names = ", ".join(shared)
    connection.execute(text(f"INSERT INTO records ({names}, name) SELECT {names}, '' FROM records_v1 ORDER BY id"))  # noqa: S608  own names
    connection.execute(text("DROP TABLE records_v1"))


def _version(connection: Connection, kind: str) -> int:
    if kind == "sqlite":
        return connection.execute(text("PRAGMA user_version")).scalar_one()
    if not inspect(connection).has_table("portside_version"):
        return 0
    return connection.execute(text("SELECT version FROM portside_version")).scalar() or 0


def _set_version(connection: Connection, kind: str) -> None:
    if kind == "sqlite":
        connection.execute(text(f"PRAGMA user_version = {VERSION}"))
        return
    connection.execute(text("CREATE TABLE IF NOT EXISTS portside_version (version INTEGER NOT NULL)"))
    connection.execute(text("DELETE FROM portside_version"))
    connection.execute(text("INSERT INTO portside_version VALUES (:version)"), {"version": VERSION})
