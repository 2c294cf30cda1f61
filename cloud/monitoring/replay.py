"""A replay: records go through the pipeline of a monitor with the clock that they bring, into a database of their own.

Nothing is delivered to anybody. What would have been told, when, and on what evidence, is in the database afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import event

from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ..records.database import Database
from ..records.introducing import introduce
from ..records.labelling import write_labels
from ..records.rows import TEXTS, insert, text_of
from ..records.tables import COLUMNS
from . import reading
from .about import About
from .consuming import serially
from .judge import GRACE_MS
from .levels import MINUTE_MS, floor
from .pipeline import Pipeline
from .tables import prepare
from .turn import Turn

DIGEST = "replay"


@dataclass(frozen=True)
class Result:
    """What became of a replay.

    Attributes:
        records, labels: that were replayed.
        spans: that were judged.
        events: what would have been told, oldest first: state, name, subject, at_ms, the alert.
        start_ms, end_ms: the time that was replayed.
    """

    records: int
    labels: int
    spans: int
    events: tuple[dict[str, Any], ...]
    start_ms: int
    end_ms: int


class Replay:
    """One replay into `database`, which holds nothing else.

    Args:
        database: of its own; it is written without waiting for the disk, for it can be made again.
        about: what is watched, and how.
        minutes: of the records' time between two rounds.
    """

    def __init__(self, database: Database, about: About, minutes: int = 1) -> None:
        _carelessly(database)
        prepare(database)
        if about.signature is not None:
            introduce(database, about.name, DIGEST, about.signature)
        self._database, self._about, self._step_ms, self._now = database, about, minutes * MINUTE_MS, 0
        self._pipeline = Pipeline(Turn(database, about.name, "replay"), about, lambda: self._now)
        self._tell = [serially(consumer) for consumer in self._pipeline.consumers]

    def run(self, source: Iterable[tuple[Record, tuple[Label, ...]]],
            progress: Callable[[int, int], None] = lambda done, at_ms: None) -> Result:  # fmt: skip
        """Replay everything. progress: told how many records, and at what time. Raises PortsideError."""
        records = labels = spans = first = last = 0
        try:
            for batch in _rounds(source, self._step_ms):
                first, last = first or batch[0][0].server_ms, batch[-1][0].server_ms
                records, labels = records + len(batch), labels + sum(len(held) for _, held in batch)
                self._write(batch)
                spans += self._round(floor("minute", last) + MINUTE_MS)
                progress(records, last)
            ended = floor("minute", last) + MINUTE_MS + GRACE_MS + 1
            spans += self._round(ended) + self._round(ended)  # the second one hears what hooks said of the last span
        finally:
            self._pipeline.close()
        told = tuple(reversed(reading.events(self._database, self._about.name, 10_000)))
        return Result(records, labels, spans, told, first, last)

    def _round(self, now_ms: int) -> int:
        """Let it be now, and hooks be told; spans that ended."""
        self._now = now_ms
        done = self._pipeline.step()
        while done.waiting:
            done = self._pipeline.step()
        for tell in self._tell:
            tell()
        return done.spans

    def _write(self, batch: list[tuple[Record, tuple[Label, ...]]]) -> None:
        own = [replace(record, name=self._about.name, deployment=DIGEST) for record, _ in batch]
        with self._database.write() as connection:
            insert(connection, [row_of(record) for record in own])
            if labels := [label for _, held in batch for label in held]:
                write_labels(connection, labels)


def _rounds(source: Iterable[tuple[Record, tuple[Label, ...]]], step_ms: int) -> Iterator[list[tuple[Record, tuple[Label, ...]]]]:
    """What comes within so many milliseconds, together."""
    held = list[tuple[Record, tuple[Label, ...]]]()
    for item in source:
        if held and item[0].server_ms // step_ms != held[0][0].server_ms // step_ms:
            yield held
            held = []
        held.append(item)
    if held:
        yield held


def row_of(record: Record) -> tuple[Any, ...]:
    """The record as values of `COLUMNS`."""
    data = record.to_dict()
    return tuple(text_of(data[name]) if name in TEXTS else data[name] for name in COLUMNS)


def _carelessly(database: Database) -> None:
    """A database that can be made again need not be synced."""
    if database.kind != "sqlite":
        return

    def hurry(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    database.engine.dispose()
    event.listen(database.engine, "connect", hurry)


def temporary(folder: Path) -> Database:
    """A database for a replay."""
    return Database.open(folder / "replay.sqlite")
