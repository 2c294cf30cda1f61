"""The file of an outbox: SQLite within a fixed number of pages and a log of a fixed number of frames, one owner, durable commits.

- The log is emptied before a transaction that could make it longer than it may be, so that database and log never exceed the quota:
  SQLite refuses pages beyond `max_page_count`, and a transaction is no longer than `outbox_policy.frames_of` says.
- `locking_mode = EXCLUSIVE`: a second owner is refused, and there is no shared-memory file that would count as well.
- `synchronous = FULL`: what was committed survives a power cut. With NORMAL a cut could take back a sequence number that the server has
  seen already; the next entry would get it again, and be thrown away as known.
- No temporary files, no cache that spills into the log in the middle of a transaction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path

from ..sdk.core.errors import FormatError, StoreError
from .outbox_policy import FRAME_BYTES, LOG_HEADER_BYTES, PAGE_BYTES, TREES, Quota

VERSION = 1
_SPARE = 12
"""Pages that stay free for trees that grow."""
_SCHEMA = (
    *(f"CREATE TABLE held_{urgency} (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL)"
      for urgency in range(4)),
    "CREATE TABLE dropped (kind TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, reason)) WITHOUT ROWID",
    "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), outbox TEXT NOT NULL, next INTEGER NOT NULL)",
    f"PRAGMA user_version = {VERSION}",
)  # fmt: skip


class DamagedError(Exception):
    """The file is no database any more."""


class Paged:
    """One SQLite connection that keeps a quota. Not safe to share by threads: its owner has a lock.

    Raises:
        StoreError: somebody else holds the file, or the disk takes nothing.
        FormatError: a newer Portside wrote it.
        DamagedError: it cannot be read.
    """

    def __init__(self, path: Path, quota: Quota) -> None:
        self.path, self.quota = path, quota
        self._log = path.with_name(f"{path.name}-wal")
        with _translated(path):
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.5)
        try:
            with _translated(path):
                self._prepare()
        except BaseException:
            self.connection.close()
            raise

    @contextlib.contextmanager
    def write(self, frames: int) -> Generator[sqlite3.Connection]:
        """One transaction that adds at most so many frames; durable when this ends. Raises StoreError: nothing of it is there then."""
        with _translated(self.path):
            self._make_way(frames)
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """To read by; every row is to be fetched within. Raises StoreError."""
        with _translated(self.path):
            yield self.connection

    def free_pages(self) -> int:
        """Pages that may still be used, those that trees need for themselves left out."""
        count, free = (self.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        return self.quota.pages - count + free - _SPARE

    def size_bytes(self) -> int:
        """What the files take now."""
        return sum(_size(path) for path in (self.path, self._log))

    def close(self) -> None:
        """Empty the log and let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self._empty_log()
        self.connection.close()

    def _make_way(self, frames: int) -> None:
        used = max(0, _size(self._log) - LOG_HEADER_BYTES) // FRAME_BYTES
        if used and used + frames > self.quota.frames:
            self._empty_log()

    def _empty_log(self) -> None:
        """Carry the log into the database, and cut it to nothing."""
        busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise sqlite3.OperationalError("the log is being read")

    def _prepare(self) -> None:
        say = self.connection.execute
        for pragma in (f"page_size = {PAGE_BYTES}", "auto_vacuum = INCREMENTAL", "locking_mode = EXCLUSIVE", "temp_store = MEMORY",
                       "cache_spill = OFF", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):  # fmt: skip
            say(f"PRAGMA {pragma}")
        self._empty_log()
        version = say("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise FormatError("The outbox was written by another version of Portside", got=version, expected=VERSION)
        if not version:
            self._make()
        self._shrink()
        say(f"PRAGMA max_page_count = {self.quota.pages}")

    def _make(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            self.connection.execute(statement)
        self.connection.execute("INSERT INTO state VALUES (1, ?, 1)", (os.urandom(8).hex(),))
        self.connection.execute("COMMIT")
        self._empty_log()

    def _shrink(self) -> None:
        """Make the file as small as a quota that has been lowered: the oldest of the least urgent goes, counted."""
        pages, some = self.connection.execute("PRAGMA page_count").fetchone()[0], (self.quota.frames - TREES) // 4
        while pages > self.quota.pages:
            self.connection.execute("BEGIN IMMEDIATE")
            while self.connection.execute("PRAGMA freelist_count").fetchone()[0] < some and evict(self.connection, 0):
                pass
            self.connection.execute(f"PRAGMA incremental_vacuum({some})").fetchall()
            self.connection.execute("COMMIT")
            self._empty_log()
            before, pages = pages, self.connection.execute("PRAGMA page_count").fetchone()[0]
            if pages >= before:
                return


def evict(connection: sqlite3.Connection, urgency: int) -> bool:
    """Give up the oldest of the least urgent that is not more urgent than this, and count it; False where there is none."""
    for one in range(3, urgency - 1, -1):
        row = connection.execute(f"SELECT sequence, kind FROM held_{one} ORDER BY sequence LIMIT 1").fetchone()  # noqa: S608  own names
        if row is not None:
            connection.execute(f"DELETE FROM held_{one} WHERE sequence = ?", (row[0],))  # noqa: S608
            if one < 3:  # what was set aside is counted already
                count_dropped(connection, row[1], "evicted", 1)
            return True
    return False


def count_dropped(connection: sqlite3.Connection, kind: str, reason: str, count: int) -> None:
    """Add to what was given up."""
    more = "INSERT INTO dropped VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
    connection.execute(more, (kind, reason, count))


@contextlib.contextmanager
def _translated(path: Path) -> Generator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError("Another process holds the outbox", got=str(path), fix="End the other agent.") from error
        raise StoreError(f"The outbox cannot be written: {error}", got=str(path)) from error
    except sqlite3.DatabaseError as error:
        if "disk" in str(error) or "full" in str(error):
            raise StoreError(f"The outbox cannot be written: {error}", got=str(path)) from error
        raise DamagedError(str(error)) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
