"""The records database: one SQLite file, or PostgreSQL, behind the same calls.

What `write` has ended without an error is durable: SQLite's log is synced at every commit, PostgreSQL's commit is local and
synchronous. Writers take turns (SQLite's lock, an advisory lock on PostgreSQL), so `seq` grows in commit order and whoever reads
from a cursor on misses nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ...sdk.core.errors import FormatError, MissingExtraError
from .migrating import current, migrate
from .tables import METADATA

TURN = 0x706F7274  # "port": the advisory lock of writers
WAIT_S = 10
"""How long a writer waits for its turn, and a connection to be made."""
CHECKPOINT = 4000
"""Pages of SQLite's log (4 KiB) before they are carried into the file."""
PLACES = "a path, sqlite:///path or postgresql://user@host/name"
CACHE_KIB = 8192
"""Of SQLite's cache, per connection that needs so much: a transaction of records fits, so that none of its pages is written twice."""
Kind = Literal["sqlite", "postgresql"]


class Database:
    """Where records, labels and all that is made of them lie. Safe to share by threads; not over a fork.

    Attributes:
        kind, engine: for what differs.
        place: where it is, without a password.
    """

    def __init__(self, url: URL) -> None:
        self.kind: Kind = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"
        self.place = str(url.database) if self.kind == "sqlite" else url.render_as_string(hide_password=True)
        self.engine = _sqlite(url) if self.kind == "sqlite" else _postgresql(url)
        self._writing = self.engine.execution_options(portside_writes=True)

    @classmethod
    def open(cls, where: str | Path) -> Database:
        """Open a database; it and its tables are made where they are not there, and those of an older version migrated.

        Args:
            where: path of a SQLite file, "sqlite:///path", or "postgresql://user@host/name".

        Raises FormatError for what cannot be opened or is of a newer version, MissingExtraError without psycopg.
        """
        url = _url(where)
        if url.get_backend_name() == "sqlite":
            _make_folder(Path(str(url.database)))
        try:
            database = cls(url)
        except ModuleNotFoundError as error:
            raise MissingExtraError("Records in PostgreSQL need what is not installed here", got=f"no {error.name}",
                                    extra="postgres") from error  # fmt: skip
        try:
            with database.read() as connection:
                ready = current(connection, database.kind)
            if not ready:
                with database.write() as connection:
                    migrate(connection, database.kind)
        except (SQLAlchemyError, OSError) as error:
            database.close()
            raise FormatError(f"Records cannot be written: {reason(error)}", got=database.place,
                              fix="Name another place under [records].") from error  # fmt: skip
        except FormatError:
            database.close()
            raise
        return database

    @contextmanager
    def write(self) -> Generator[Connection]:
        """One transaction that nobody else's runs beside, durable when this ends without an error. Raises SQLAlchemyError."""
        with self._writing.begin() as connection:
            if self.kind == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({TURN})"))
            yield connection

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A connection to read by. Raises SQLAlchemyError."""
        with self.engine.connect() as connection:
            yield connection

    def prepare(self, *tables: Table) -> None:
        """Make these tables of `METADATA` where they are not there. Raises SQLAlchemyError."""
        with self.write() as connection:
            METADATA.create_all(connection, tables=list(tables))

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def reason(error: Exception) -> str:
    """What a database said, in a line: without the statement, whose values may be somebody's data."""
    said = str(getattr(error, "orig", None) or error).strip()
    return f"{type(error).__name__}: {said.splitlines()[0][:300] if said else 'no more is known'}"


def _url(where: str | Path) -> URL:
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(Path(where).absolute()))
    try:
        url = make_url(where)
    except ArgumentError as error:
        raise FormatError("This names no database", got=f"{where.partition(':')[0]}:...", expected=PLACES) from error
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        return URL.create("sqlite", database=str(Path(url.database).absolute()))
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise FormatError("Records go into SQLite or PostgreSQL", got=url.get_backend_name(), expected=PLACES)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(f"Records cannot be written: {error}", got=str(path), fix="Name another file under [records] path.") from error


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": WAIT_S, "check_same_thread": False, "isolation_level": None})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin)
    return engine


def _postgresql(url: URL) -> Engine:
    options = f"-c synchronous_commit=on -c lock_timeout={WAIT_S * 1000} -c timezone=UTC"
    return create_engine(url, pool_pre_ping=True, connect_args={"options": options, "connect_timeout": WAIT_S,
                                                                "application_name": "portside"})  # fmt: skip


def _durable(connection: Any, record: object) -> None:
    """A SQLite connection that writes ahead, syncs at every commit and waits for other writers. New files can give free pages back."""
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file alone: said of one that is there it is a transaction
    settings = ("journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {CHECKPOINT}", f"cache_size = -{CACHE_KIB}")
    for pragma in settings:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """pysqlite begins no transaction of its own: a writer takes the lock at once, so that nothing it read can change meanwhile."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("portside_writes") else "BEGIN")
