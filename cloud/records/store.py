"""Records into the database, off the request path: a bounded queue, a thread that makes rows, one that writes them, losses counted.

What is counted as `written` is durable. A database that does not take a batch now (a full disk, a lock, a server that is restarted) is
asked again until it does; what no longer fits the queue meanwhile is lost, and counted. Several worker processes may write to one
database.
"""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import cast

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from ...sdk.core.records import RAW_LIMIT_BYTES
from ...sdk.core.signature import Signature
from .backlog import Backlog, Taken
from .database import Database, reason
from .draft import Draft as Draft
from .draft import Drafted, Row
from .forgetting import MANY, Keep, expire
from .introducing import introduce
from .reading import records as records
from .rows import insert, row
from .tables import COLUMNS as COLUMNS

BATCH = 2048
"""Records of one transaction, at most: each has a sync, and writes the pages of every index anew."""
PAUSE_S = 0.05
QUEUE_BYTES = 64 << 20
TIDY_S = 60.0
"""How often records that need not be kept are looked for."""
FEW_BYTES = 512
"""See `RecordStore.few_bytes`."""
AGAIN_S = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses before a database that failed is asked again; the last one repeats."""


class RecordStore:
    """Writes drafts to one database.

    `put` only weighs a draft and appends it to a queue. Every `PAUSE_S` rows are made of what has gathered, where they are none yet; while
    a batch is written, which for the most part needs no interpreter, the next one is made.

    Args:
        where: see `Database.open`.
        size: drafts that may wait; more are lost, and counted.
        raw_limit_bytes: larger tensors are described, not kept.
        size_bytes: of the tensors that wait; drafts beyond are lost, and counted.
        keep: for how long records stay; the oldest are deleted between two batches, a few hundred at a time.

    Attributes:
        where, database: what it writes to.
        written: count of durable records. fault: what is wrong with the database now, or was with the last record lost; "": nothing.
        failing: the database does not take records at the moment.
        few_bytes: whose tensors take no more is a row from the start, at best: that is less work than to keep what it is made of.

    Raises FormatError when the database holds records of another version, or is none.
    """

    def __init__(self, where: str | Path, size: int = 10_000, raw_limit_bytes: int = RAW_LIMIT_BYTES,
                 size_bytes: int = QUEUE_BYTES, keep: Keep | None = None) -> None:  # fmt: skip
        self.where, self.database = where, Database.open(where)
        self.written, self.fault, self.failing = 0, "", False
        self._limit, self._backlog = raw_limit_bytes, Backlog(size, size_bytes)
        self.few_bytes = min(FEW_BYTES, raw_limit_bytes)
        self._hurry, self._closed = threading.Event(), False
        self._keep, self._tidy_at = keep if keep not in (None, Keep()) else None, 0.0
        self._new: list[tuple[str, str, Signature]] = []
        self._made: queue.Queue[tuple[Taken, list[Row]] | None] = queue.Queue(1)
        works = {"portside-rows": self._make_all, "portside-records": self._write_all}
        self._threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> int:
        """Count of records lost."""
        return self._backlog.lost

    @property
    def waiting(self) -> int:
        """Drafts that wait or are being written."""
        return len(self._backlog)

    @property
    def waiting_bytes(self) -> int:
        """About what they take."""
        return self._backlog.held_bytes

    def gauges(self) -> dict[str, float]:
        """What the metrics page shows: name -> value."""
        return {"portside_records_written": self.written, "portside_records_lost": self.lost, "portside_records_waiting": self.waiting,
                "portside_records_waiting_bytes": self.waiting_bytes, "portside_records_failing": float(self.failing)}  # fmt: skip

    def introduce(self, name: str, digest: str, signature: Signature) -> None:
        """Say what the records of a deployment hold; kept in the database, for whoever reads them."""
        with self._backlog.state:
            self._new.append((name, digest, signature))

    def put(self, draft: Drafted | Row, size_bytes: int | None = None) -> bool:
        """Queue a record; False when the queue is full, or closed, and the record is lost. Never blocks, costs about a microsecond.

        Args:
            draft: of the record, or its row.
            size_bytes: what `weight` would say of it, where the caller knows; of a row it has to.
        """
        return self._backlog.put(draft, size_bytes)

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything queued so far is durable or lost; False when that took too long."""
        self._hurry.set()
        with self._backlog.state:
            return self._backlog.state.wait_for(lambda: not len(self._backlog) and not self._new, seconds)

    def close(self, seconds: float = 10.0) -> None:
        """Flush and end the writer. What the database has not taken by then is lost, and counted."""
        self.flush(seconds)
        self._backlog.close()
        self._closed = True
        self._hurry.set()
        for thread in self._threads:
            thread.join(seconds)
        self.database.close()

    def _make_all(self) -> None:
        """Make rows of what has gathered, batch by batch: the next one while the one before is written."""
        last = False
        while not last:
            self._hurry.wait(PAUSE_S)
            self._hurry.clear()
            last = self._closed  # nothing is queued after that, so what is taken now is the rest
            self._introduce()
            while (taken := self._backlog.take(BATCH)).drafts:
                self._made.put((taken, self._rows(taken.drafts)))
            if self._keep is not None and time.monotonic() >= self._tidy_at and not last:
                self._tidy(self._keep)
        self._made.put(None)

    def _write_all(self) -> None:
        while (made := self._made.get()) is not None:
            taken, rows = made
            lost = len(taken.drafts) - len(rows) + (self._store(rows) if rows else 0)
            self.written += len(taken.drafts) - lost
            self._backlog.settle(taken, lost)

    def _rows(self, batch: list[Drafted | Row]) -> list[Row]:
        """The drafts as rows; one that cannot be made into a row is lost alone."""
        rows: list[Row] = []
        for draft in batch:
            try:
                rows.append(draft if type(draft) is tuple else row(cast("Drafted", draft), self._limit))
            except Exception as error:  # the writer outlives whatever a record holds; the loss is counted
                self.fault = f"{type(error).__name__}: {error}"
        return rows

    def _store(self, rows: list[Row]) -> int:
        """Write rows in one transaction, however often that has to be tried (ids make it idempotent); rows lost."""
        pauses = list(AGAIN_S)
        while True:
            try:
                with self.database.write() as connection:
                    insert(connection, rows)
            except (SQLAlchemyError, ValueError, OverflowError) as error:
                if not self._passing(error):
                    return self._apart(rows)
                if self._closed:
                    return len(rows)
                self._rest(pauses.pop(0) if len(pauses) > 1 else pauses[0])
            else:
                self._well()
                return 0

    def _apart(self, rows: list[Row]) -> int:
        """Rows of which one cannot be written: by halves, so that it is lost alone."""
        if len(rows) == 1:
            return 1
        middle = len(rows) // 2
        return self._store(rows[:middle]) + self._store(rows[middle:])

    def _rest(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not self._closed and time.monotonic() < ends:
            time.sleep(0.02)

    def _introduce(self) -> None:
        """Write down what was introduced; tried again with the next batch where the database does not take it now."""
        while self._new:
            try:
                introduce(self.database, *self._new[0])
            except SQLAlchemyError as error:
                if self._passing(error):
                    return
            else:
                self._well()
            with self._backlog.state:
                self._new.pop(0)
                self._backlog.state.notify_all()

    def _tidy(self, keep: Keep) -> None:
        """Delete some of what need not be kept; again at once while there is more, else in a while."""
        try:
            more = expire(self.database, keep, time.time_ns() // 1_000_000) == MANY
        except SQLAlchemyError as error:
            self.fault, more = reason(error), False
        if not more:
            self._tidy_at = time.monotonic() + TIDY_S

    def _passing(self, error: Exception) -> bool:
        """Whether the database may take the same rows later: it is full, locked, being restarted, or cannot be reached."""
        self.fault = reason(error)
        passes = isinstance(error, OperationalError | InterfaceError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
        self.failing = self.failing or passes
        return passes

    def _well(self) -> None:
        if self.failing:
            self.failing, self.fault = False, ""
