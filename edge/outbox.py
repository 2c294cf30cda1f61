"""The outbox of a device: what is to go home waits here, durable, within a quota, until the server has said that it holds it.

    >>> outbox = Outbox(folder / "outbox.sqlite", quota_bytes=1 << 20)
    >>> outbox.append([Entry("record", {"id": "r1", "answer": 3}), Entry("error", {"what": "no camera"})])
    [1, 2]
    >>> [entry.sequence for entry in outbox.batch()]
    [2, 1]
    >>> outbox.settle([2]), outbox.status().waiting
    (1, {'record': 1})

Every entry has a sequence number of this device, which is never used again, whatever happens to the clock, the process or the database: a
file beside it marks how far numbers are given away. What is given up for want of room is counted, and the counts travel with every batch.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Generator, Sequence
from pathlib import Path

from ..sdk.core.errors import StoreError
from .outbox_entry import Entry as Entry
from .outbox_entry import Held as Held
from .outbox_entry import Status as Status
from .outbox_mark import read_mark, write_mark
from .outbox_policy import ASIDE, URGENCIES, Quota, frames_of, groups, pages_of, urgency_of
from .outbox_store import DamagedError, Paged, count_dropped, evict

MARK_AHEAD = 4096
"""Numbers that one write of the mark gives away."""
BATCH_BYTES, BATCH_ENTRIES = 256 << 10, 500
_AT_ONCE = 25
"""Entries that one transaction removes."""
log = logging.getLogger("portside.outbox")


class Outbox:
    """Safe to share by threads; one per device.

    Args:
        path: of the SQLite file; a log and a mark lie beside it.
        quota_bytes: of all these files together, never exceeded.

    Attributes:
        id: random, of this file: the counts of another one are other counts.

    Raises StoreError: another process holds it, or it cannot be written. FormatError: a newer Portside wrote it.
    """

    def __init__(self, path: str | Path, quota_bytes: int = 64 << 20) -> None:
        self.path, self.quota = Path(path), Quota.of(quota_bytes)
        self._mark_path = self.path.with_name(f"{self.path.name}.mark")
        self._lock, self._counting, self._owed = threading.RLock(), threading.Lock(), Counter[tuple[str, str]]()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._mark = read_mark(self._mark_path)
        self._store = self._open()
        with self._store.read() as connection:
            self.id, self._next = connection.execute("SELECT outbox, next FROM state").fetchone()
        self._continue()

    def append(self, entries: Sequence[Entry]) -> list[int | None]:
        """Take entries; when this returns they are durable. What there is no room for is given up and counted, the least urgent first.

        Returns:
            Sequence numbers in order; None: given up at once (too long, or nothing less urgent had to go). Fewer than `entries` where the
            disk took no more; the rest may be tried again.

        Raises:
            StoreError: the disk takes nothing now; nothing was taken.
            InputError: a kind that there is not, a body that is no JSON.
        """
        ready, found = [entry.sealed() for entry in entries], list[int | None]()
        with self._lock:
            for size in groups(self._lengths(ready), self.quota.frames):
                try:
                    found += self._append(ready[len(found) : len(found) + size])
                except StoreError:
                    if not found:
                        raise
                    break
        return found

    def batch(self, most_bytes: int = BATCH_BYTES, most_entries: int = BATCH_ENTRIES) -> list[Held]:
        """What should go home next: the most urgent, of these the oldest; at least one where anything waits. Raises StoreError."""
        found, size = list[Held](), 0
        with self._lock, self._store.read() as connection, contextlib.closing(_in_order(connection, most_entries)) as waiting:
            for held in waiting:
                size += len(held.body)
                if len(found) == most_entries or (found and size > most_bytes):
                    break
                found.append(held)
        return found

    def settle(self, sequences: Collection[int]) -> int:
        """Remove what the server holds; how many that were. Raises StoreError."""
        return self._remove(sequences)

    def set_aside(self, sequence: int, reason: str) -> None:
        """Never send this one again: the server refuses it. It is counted, and kept as long as there is room. Raises StoreError."""
        with self._lock, self._store.write(frames_of([self.quota.entry_bytes], 4)) as connection:
            for urgency in URGENCIES:
                row = connection.execute(f"SELECT id, kind, body FROM held_{urgency} WHERE sequence = ?", (sequence,)).fetchone()  # noqa: S608
                if row is not None:
                    connection.execute(f"DELETE FROM held_{urgency} WHERE sequence = ?", (sequence,))  # noqa: S608  own names
                    connection.execute(f"INSERT INTO held_{ASIDE} VALUES (?, ?, ?, ?)", (sequence, *row))  # noqa: S608
                    count_dropped(connection, row[1], reason, 1)

    def renumber(self, sequences: Collection[int], above: int) -> None:
        """Give these entries new numbers, larger than any of `above`: the server holds others of this device under theirs.

        That happens where a device was set back to an image of before. Raises StoreError.
        """
        with self._lock:
            self._next = max(self._next, above + 1)
            for sequence in sorted(sequences):
                self._reserve(self._next)
                with self._store.write(frames_of([self.quota.entry_bytes], 4)) as connection:
                    for urgency in URGENCIES:
                        place = f"UPDATE held_{urgency} SET sequence = ? WHERE sequence = ?"  # noqa: S608  own names
                        connection.execute(place, (self._next, sequence))
                    connection.execute("UPDATE state SET next = ?", (self._next + 1,))
                self._next += 1

    def lose(self, kind: str, reason: str, count: int = 1) -> None:
        """Count what was given up before it came here. Written with the next transaction; never waits for the disk, never raises."""
        with self._counting:
            self._owed[kind, reason] += count

    def dropped(self) -> dict[tuple[str, str], int]:
        """(kind, reason) -> entries given up since the outbox was made. Raises StoreError."""
        with self._lock, self._store.read() as connection:
            found = Counter({(kind, reason): count for kind, reason, count in connection.execute("SELECT * FROM dropped")})
            return dict(found + self._owed)

    def status(self) -> Status:
        """How it stands. Raises StoreError."""
        with self._lock, self._store.read() as connection:
            waiting = Counter[str]()
            for urgency in URGENCIES:
                waiting.update(dict(connection.execute(f"SELECT kind, count(*) FROM held_{urgency} GROUP BY kind").fetchall()))  # noqa: S608
            aside = connection.execute(f"SELECT count(*) FROM held_{ASIDE}").fetchone()[0]  # noqa: S608
        dropped = {f"{kind}:{reason}": count for (kind, reason), count in sorted(self.dropped().items())}
        return Status(dict(waiting), aside, dropped, self._next, self.size_bytes(), self.quota.total_bytes)

    def size_bytes(self) -> int:
        """What the files take now."""
        return self._store.size_bytes() + (self._mark_path.stat().st_size if self._mark_path.exists() else 0)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._owed:
                with contextlib.suppress(StoreError), self._paying(frames_of([])):
                    pass
            self._store.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> Paged:
        """The database; a damaged one is given up, for a device must go on: its numbers are not used again all the same."""
        try:
            return Paged(self.path, self.quota)
        except DamagedError as error:
            log.error("The outbox cannot be read and is begun anew: %s", error)
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-journal"):
                self.path.with_name(name).unlink(missing_ok=True)
            self._owed["unknown", "damaged"] += 1
            return Paged(self.path, self.quota)

    def _continue(self) -> None:
        """Begin behind every number that may have been given away where the database is newer than the mark."""
        if self._next == 1 and self._mark > 1:
            self._next = self._mark

    def _lengths(self, entries: Sequence[Entry]) -> list[int]:
        """Of the bodies; those that are too long are not written."""
        return [min(len(entry.body), self.quota.entry_bytes) for entry in entries]

    def _append(self, group: Sequence[Entry]) -> list[int | None]:
        """One transaction. Raises StoreError: nothing of it is there, and no number was used."""
        self._reserve(self._next + len(group))
        following, found = self._next, list[int | None]()
        with self._paying(frames_of(self._lengths(group), len(group))) as connection:
            ample = self._store.free_pages() >= sum(pages_of(length) + 1 for length in self._lengths(group))
            for entry in group:
                urgency = urgency_of(entry.kind)
                reason = self._make_room(urgency, len(entry.body), ample)
                if reason:
                    count_dropped(connection, entry.kind, reason, 1)
                    found.append(None)
                    continue
                place = f"INSERT INTO held_{urgency} VALUES (?, ?, ?, ?)"  # noqa: S608  own names
                connection.execute(place, (following, entry.id, entry.kind, entry.body))
                found.append(following)
                following += 1
            connection.execute("UPDATE state SET next = ?", (following,))
        self._next = following
        return found

    def _make_room(self, urgency: int, body_bytes: int, ample: bool) -> str:
        """Give up what has to go; why the entry itself has to, "" where it does not. ample: there is room for all of its group."""
        if body_bytes > self.quota.entry_bytes:
            return "too-long"
        if ample:
            return ""
        needed, connection = pages_of(body_bytes) + 1, self._store.connection
        if self._store.free_pages() >= needed:
            return ""
        connection.execute("SAVEPOINT room")
        while self._store.free_pages() < needed:
            if not evict(connection, urgency):
                connection.execute("ROLLBACK TO room")
                break
        connection.execute("RELEASE room")
        return "" if self._store.free_pages() >= needed else "no-room"

    def _remove(self, sequences: Collection[int]) -> int:
        wanted, removed = sorted(sequences), 0
        with self._lock:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(some))
                with self._store.write(frames_of([], len(some))) as connection:
                    for urgency in URGENCIES:
                        removed += connection.execute(f"DELETE FROM held_{urgency} WHERE sequence IN ({marks})", some).rowcount  # noqa: S608
        return removed

    @contextlib.contextmanager
    def _paying(self, frames: int) -> Generator[sqlite3.Connection]:
        """A transaction that also writes down what was lost before it. Raises StoreError."""
        with self._counting:
            owed = self._owed.copy()
        with self._store.write(frames) as connection:
            for (kind, reason), count in owed.items():
                count_dropped(connection, kind, reason, count)
            yield connection
        with self._counting:
            self._owed -= owed

    def _reserve(self, upto: int) -> None:
        """Give numbers up to this one away. Raises StoreError."""
        if upto <= self._mark:
            return
        mark = upto + MARK_AHEAD
        try:
            write_mark(self._mark_path, mark)
        except OSError as error:
            raise StoreError(f"The outbox cannot be written: {error.strerror}", got=str(self._mark_path)) from error
        self._mark = mark


def _in_order(connection: sqlite3.Connection, most: int) -> Generator[Held]:
    """What waits, the most urgent first, of these the oldest; at most so many of each urgency."""
    for urgency in URGENCIES:
        query = f"SELECT sequence, id, kind, body FROM held_{urgency} ORDER BY sequence LIMIT ?"  # noqa: S608  own names
        with contextlib.closing(connection.execute(query, (most,))) as cursor:
            for row in cursor:
                yield Held(*row)
