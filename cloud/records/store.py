"""Records into SQLite, off the request path: a bounded queue, one writer thread, batches, losses counted.

WAL mode lets several worker processes write one file. `PRAGMA user_version` is the record version; rows.py has the schema.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ...sdk.core.errors import FormatError
from ...sdk.core.records import RAW_LIMIT_BYTES, RECORD_VERSION, Record
from .rows import COLUMNS as COLUMNS
from .rows import SCHEMA, Drafted, read, row, statements
from .rows import Draft as Draft

BATCH = 512
PAUSE_S = 0.05


class RecordStore:
    """Writes drafts to one SQLite file.

    `put` only appends to a deque, which needs no lock: the writer comes for what has gathered every `PAUSE_S`.

    Args:
        path: the file; made with its folder.
        size: drafts that may wait; more are lost, and counted.
        raw_limit_bytes: larger tensors are described, not kept.

    Attributes:
        written, lost: counts. fault: the last error of the disk, or "".

    Raises FormatError when the file holds records of another version, or is not a database.
    """

    def __init__(self, path: Path, size: int = 10_000, raw_limit_bytes: int = RAW_LIMIT_BYTES) -> None:
        self.path, self.written, self.lost, self.fault = Path(path), 0, 0, ""
        self._limit, self._size = raw_limit_bytes, size
        self._waiting: deque[Drafted] = deque()
        self._state, self._hurry = threading.Condition(), threading.Event()
        self._writing, self._closed = 0, False
        prepare(self.path)
        self._thread = threading.Thread(target=self._write_all, name="portside-records", daemon=True)
        self._thread.start()

    def put(self, draft: Drafted) -> bool:
        """Queue a record; False when the queue is full, or closed, and the record is lost. Never blocks, costs under a microsecond."""
        waiting = self._waiting
        if len(waiting) >= self._size or self._closed:
            with self._state:
                self.lost += 1
            return False
        waiting.append(draft)
        return True

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything queued so far is on the disk or lost; False when that took too long."""
        self._hurry.set()
        with self._state:
            return self._state.wait_for(lambda: not self._waiting and not self._writing, seconds)

    def close(self, seconds: float = 10.0) -> None:
        """Flush and end the writer."""
        self.flush(seconds)
        self._closed = True
        self._hurry.set()
        self._thread.join(seconds)

    def _write_all(self) -> None:
        with closing(connect(self.path)) as database:
            while not self._closed or self._waiting:
                self._hurry.wait(PAUSE_S)
                self._hurry.clear()
                while self._waiting:
                    self._write(database, self._take())
                with self._state:
                    self._state.notify_all()

    def _take(self) -> list[Drafted]:
        """The next batch, which is being written from now on."""
        waiting = self._waiting
        with self._state:  # so that `flush` never sees a batch that is neither waiting nor being written
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH))]
            self._writing = len(batch)
        return batch

    def _write(self, database: sqlite3.Connection, batch: list[Drafted]) -> None:
        rows = self._rows(batch)
        lost = len(batch) - len(rows) + self._store(database, rows)
        with self._state:
            self._writing, self.lost, self.written = 0, self.lost + lost, self.written + len(batch) - lost

    def _rows(self, batch: list[Drafted]) -> list[tuple[Any, ...]]:
        """The drafts as rows; one that cannot be made into a row is lost alone."""
        rows: list[tuple[Any, ...]] = []
        for draft in batch:
            try:
                rows.append(row(draft, self._limit))
            except Exception as error:  # the writer outlives whatever a record holds; the loss is counted
                self.fault = f"{type(error).__name__}: {error}"
        return rows

    def _store(self, database: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> int:
        """Write one batch in one transaction; rows lost."""
        try:
            with database:
                for statement, values in statements(rows):
                    database.execute(statement, values)
        except (sqlite3.Error, OverflowError) as error:
            self.fault = f"{type(error).__name__}: {error}"
            return len(rows)
        return 0


def prepare(path: Path) -> None:
    """Make the file and its table. Raises FormatError for a file that cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(connect(path)) as database, database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, RECORD_VERSION):
                raise FormatError("The records file was written by another version of Portside", got=version, expected=RECORD_VERSION,
                                  fix="Name another file under [records] path.")  # fmt: skip
            database.execute(SCHEMA)
            database.execute(f"PRAGMA user_version = {RECORD_VERSION}")
    except (sqlite3.Error, OSError) as error:
        raise FormatError(f"Records cannot be written: {error}", got=str(path), fix="Name another file under [records] path.") from error


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode that waits for other writers."""
    database = sqlite3.connect(path, timeout=10.0)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    return database


def records(path: Path) -> Iterator[Record]:
    """Every record of a file, oldest first. Raises FormatError for a file that holds none."""
    try:
        with closing(connect(Path(path))) as database:
            for values in database.execute(f"SELECT {', '.join(COLUMNS)} FROM records ORDER BY id"):  # noqa: S608  constants only
                yield read(values)
    except (sqlite3.DatabaseError, ValueError) as error:
        raise FormatError(f"The records of this file cannot be read: {error}", got=str(path)) from error
