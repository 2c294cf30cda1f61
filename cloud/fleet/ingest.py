"""Batches of devices into the database: each entry once, whatever is lost on the way and however often it is sent.

- (device, sequence) is the name of an entry, and its id says that it is the same one. What is there already is acknowledged, not written.
- What an entry becomes (a record, a label, what a window adds to a minute) and the row that says it is here are one transaction.
- An entry that cannot be read is refused by its number and does not hold up the others.
- A device that was set back to an old image counts anew from numbers that it has used: that is told as a conflict, nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy import insert as insert_into
from sqlalchemy.exc import DataError, IntegrityError

from ...sdk.core.errors import InputError
from ...sdk.core.window import Window
from ..alerts.slo import Counts
from ..monitoring.counting import Tally
from ..monitoring.counting import write as write_windows
from ..monitoring.upsert import upsert
from ..records.database import Database, reason
from ..records.labelling import write_labels
from ..records.rows import insert, text_of
from ..records.tables import RECORDS
from .batch import Batch, Sent
from .devices import Device, wanted_here
from .entries import Happened, Labelled, Made, Recorded, Summed, made
from .forgetting import forgotten_among, highest_of
from .tables import DEVICES, ENTRIES, EVENTS, LOSSES

_AT_ONCE = 400


@dataclass(frozen=True)
class Taken:
    """What became of a batch.

    Attributes:
        held: numbers that are durable here, those that were before included.
        refused: number -> why it is never taken.
        conflicts: numbers that stand for other entries here. highest: the largest number of this device.
        desired: the release that it is to run.
    """

    held: tuple[int, ...]
    refused: Mapping[int, InputError]
    conflicts: tuple[int, ...]
    highest: int
    desired: str | None

    def to_dict(self, batch: Batch) -> dict[str, Any]:
        """The acknowledgement."""
        refused = [{"sequence": number, **error.to_dict()} for number, error in sorted(self.refused.items())]
        return {"device": batch.device, "outbox": batch.outbox, "held": list(self.held), "refused": refused,
                "conflicts": list(self.conflicts), "highest": self.highest, "desired": self.desired}  # fmt: skip


def ingest(database: Database, device: Device, batch: Batch, now_ms: int) -> Taken:
    """Take a batch; what is `held` afterwards is durable. Raises SQLAlchemyError where the database takes nothing now: send it again."""
    ready, refused = list[Made](), dict[int, InputError]()
    for sent in batch.entries:
        try:
            ready.append(made(sent, device, now_ms))
        except InputError as error:
            refused[sent.sequence] = error
    held, conflicts = list[int](), list[int]()
    _take(database, device, ready, now_ms, _Found(held, conflicts, refused))
    with database.write() as connection:
        highest = _seen(connection, device, batch, now_ms)
        wanted = wanted_here(connection, device)
    return Taken(tuple(sorted(held)), refused, tuple(sorted(conflicts)), highest, wanted)


@dataclass(frozen=True)
class _Found:
    """Where what became of entries is gathered."""

    held: list[int]
    conflicts: list[int]
    refused: dict[int, InputError]


def _take(database: Database, device: Device, ready: Sequence[Made], now_ms: int, found: _Found) -> None:
    """One transaction; by halves where something in it is refused by the database, so that it is refused alone.

    What is wrong with the database itself is no fault of an entry, and raises SQLAlchemyError.
    """
    if not ready:
        return
    part = _Found([], [], {})
    try:
        with database.write() as connection:
            _write(connection, device, _fresh(connection, device, ready, part), now_ms)
    except (
        InputError,
        ValueError,
        OverflowError,
        DataError,
        IntegrityError,
    ) as error:
        if len(ready) == 1:
            found.refused[ready[0].sent.sequence] = error if isinstance(error, InputError) else InputError(reason(error), field="body")
            return
        middle = len(ready) // 2
        _take(database, device, ready[:middle], now_ms, found)
        _take(database, device, ready[middle:], now_ms, found)
        return
    found.held.extend(part.held)
    found.conflicts.extend(part.conflicts)
    found.refused.update(part.refused)


def _fresh(connection: Connection, device: Device, ready: Sequence[Made], part: _Found) -> list[Made]:
    """Those that are not here; all of them that are well go into `part.held`."""
    numbers, names = _known(connection, device, [one.sent for one in ready])
    fresh = list[Made]()
    for one in ready:
        sent = one.sent
        if sent.id in names:
            if names[sent.id] == device.id:
                part.held.append(sent.sequence)
            else:
                part.refused[sent.sequence] = InputError("The id stands for something else here", field="id", got=sent.id)
        elif sent.sequence in numbers:
            part.conflicts.append(sent.sequence)
        else:
            part.held.append(sent.sequence)
            fresh.append(one)
    return fresh


def _known(connection: Connection, device: Device, entries: Sequence[Sent]) -> tuple[set[int], dict[str, str | None]]:
    """Numbers of this device that are here, and whose the ids are that are here."""
    numbers, names = forgotten_among(connection, device.id, [one.sequence for one in entries]), dict[str, str | None]()
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        ids = [one.id for one in some]
        wanted = ENTRIES.c.sequence.in_([one.sequence for one in some])
        numbers |= set(connection.execute(select(ENTRIES.c.sequence).where(ENTRIES.c.device == device.id, wanted)).scalars())
        for table in (RECORDS, ENTRIES):  # an entry's word counts: whoever brought it
            names |= {row[0]: row[1] for row in connection.execute(select(table.c.id, table.c.device).where(table.c.id.in_(ids)))}
    return numbers, names


def _write(connection: Connection, device: Device, fresh: Sequence[Made], now_ms: int) -> None:
    """Make of entries what they become, and say that they are here. Raises InputError, ValueError, SQLAlchemyError."""
    if not fresh:
        return
    if rows := [one.values for one in fresh if isinstance(one, Recorded)]:
        insert(connection, rows)
    if labels := [one.label for one in fresh if isinstance(one, Labelled)]:
        _own(connection, device, [label.record for label in labels])
        write_labels(connection, labels)
    for name, tally in tallies([one for one in fresh if isinstance(one, Summed)]).items():
        write_windows(connection, name, tally)
    if events := [_event(one, device, now_ms) for one in fresh if isinstance(one, Happened)]:
        connection.execute(insert_into(EVENTS), events)
    taken = [{"device": device.id, "sequence": one.sent.sequence, "id": one.sent.id, "kind": one.sent.kind, "received_ms": now_ms}
             for one in fresh]  # fmt: skip
    connection.execute(insert_into(ENTRIES), taken)
    connection.execute(update(DEVICES).where(DEVICES.c.id == device.id).values(entries=DEVICES.c.entries + len(taken)))


def _own(connection: Connection, device: Device, records: Sequence[str]) -> None:
    """Raise InputError where one of these records is somebody else's: a device that knows its id must not say what was right there."""
    for start in range(0, len(records), _AT_ONCE):
        some = RECORDS.c.id.in_(records[start : start + _AT_ONCE])
        others = connection.execute(select(RECORDS.c.id).where(some, RECORDS.c.device.is_distinct_from(device.id))).scalars().all()
        if others:
            raise InputError("A device labels its own records", field="record", got=others[0])


def tallies(summaries: Sequence[Summed]) -> dict[str, Tally]:
    """Windows of devices as what a monitor's minutes get, by deployment; those of a minute merged at once, with the smaller error."""
    found = dict[str, dict[int, list[Window]]]()
    for one in summaries:
        found.setdefault(one.name, {}).setdefault(one.window.start_ms, []).append(one.window)
    merged = {name: {start: Window.merge_all(held) for start, held in minutes.items()} for name, minutes in found.items()}
    return {name: Tally(windows, _objectives(windows)) for name, windows in merged.items()}


def _objectives(windows: Mapping[int, Window]) -> dict[tuple[int, str], Counts]:
    found = dict[tuple[int, str], Counts]()
    for start, window in windows.items():
        found[start, "availability"] = Counts(window.requests, 0)
        found[start, "in_time"] = Counts(max(0, window.requests - window.late), window.late)
    return found


def _event(one: Happened, device: Device, now_ms: int) -> dict[str, Any]:
    return {
        "device": device.id,
        "sequence": one.sent.sequence,
        "name": one.name,
        "at_ms": one.at_ms,
        "received_ms": now_ms,
        "data": one.data,
    }


def _seen(connection: Connection, device: Device, batch: Batch, now_ms: int) -> int:
    """Write down that a device was heard of, and what it said of itself; its largest number."""
    highest = highest_of(connection, device.id)
    values = {"seen_ms": now_ms, "versions": text_of(dict(batch.versions)), "highest": highest}
    connection.execute(update(DEVICES).where(DEVICES.c.id == device.id).values(values))
    table = LOSSES.c
    query = select(table.kind, table.reason, table["count"]).where(table.device == device.id, table.outbox == batch.outbox)
    known = {(row[0], row[1]): row[2] for row in connection.execute(query)}
    for (kind, why), count in batch.dropped.items():
        if count > known.get((kind, why), 0):  # totals only grow: an old batch that arrives late takes nothing back
            upsert(connection, LOSSES, {"device": device.id, "outbox": batch.outbox, "kind": kind, "reason": why}, {"count": count})
    return highest
