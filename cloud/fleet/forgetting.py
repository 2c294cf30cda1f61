"""What says that entries are here does not grow for ever: rows that are old give way to runs of numbers, and old events go.

`device_entries` has a row for each entry, by which one that is sent again is known. After as long as records are kept the row says little:
nearly all numbers of a device arrive, so runs of them ("1 to 48,211") say the same. A number in a run is never taken again. Its id
may be gone with its record; then an entry that comes under it is told as a conflict, and the device sends it under a new number: a
device that was set back to an old image loses nothing. What it costs: an entry whose acknowledgement was lost, of a device that was
then away for longer than records are kept, comes a second time after the first is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, select
from sqlalchemy import insert as insert_into

from ..monitoring.levels import DAY_MS
from ..records.database import Database
from .tables import ENTRIES, EVENTS, SPANS

Run = tuple[int, int]
"""The first and the last number."""
KEEP_DAYS = 30.0
"""Where records are kept for ever, or nobody says."""
MANY = 500
"""Rows of one transaction: others wait for it a few milliseconds."""
MOST_RUNS = 1000
"""Of one device. Beyond, the two oldest become one: what is missing between them can then only come as a conflict: nothing is lost."""


def runs_of(numbers: Iterable[int], known: Iterable[Run] = (), most: int = MOST_RUNS) -> list[Run]:
    """Numbers and runs as few runs, the lowest first; at most `most`.

    >>> runs_of([3, 1, 2, 9], [(4, 7), (20, 20)])
    [(1, 7), (9, 9), (20, 20)]
    >>> runs_of([1, 5, 9], most=2)
    [(1, 5), (9, 9)]
    """
    found = list[Run]()
    for low, high in sorted([*known, *((number, number) for number in numbers)]):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    if (over := len(found) - most) > 0:
        found[: over + 1] = [(found[0][0], found[over][1])]
    return found


def forget(database: Database, keep_days: float | None, now_ms: int, most: int = MANY) -> int:
    """Turn up to `most` of the oldest rows into runs, and let as many old events go, in one short transaction; how many rows of both.

    keep_days: how long records are kept; None: for ever, and then rows are kept for KEEP_DAYS and events stay. Raises SQLAlchemyError.
    """
    before = now_ms - int((KEEP_DAYS if keep_days is None else keep_days) * DAY_MS)
    table = ENTRIES.c
    oldest = select(table.device, table.sequence).where(table.received_ms < before).order_by(table.received_ms).limit(most)
    events = select(EVENTS.c.seq).where(EVENTS.c.received_ms < before).order_by(EVENTS.c.seq).limit(most)
    with database.read() as connection:  # most of the time there is nothing to do, and nobody waits for that
        if connection.execute(oldest.limit(1)).first() is None and (keep_days is None or connection.execute(events).first() is None):
            return 0
    with database.write() as connection:
        found = dict[str, list[int]]()
        for device, number in connection.execute(oldest):
            found.setdefault(device, []).append(number)
        for device, numbers in found.items():
            _fold(connection, device, numbers)
        gone = [] if keep_days is None else list(connection.execute(events).scalars())
        connection.execute(delete(EVENTS).where(EVENTS.c.seq.in_(gone)))
    return sum(map(len, found.values())) + len(gone)


def forgotten_among(connection: Connection, device: str, numbers: Sequence[int]) -> set[int]:
    """Those of the numbers that are in a run of this device."""
    if not numbers:
        return set()
    meant = SPANS.c.device == device, SPANS.c.low <= max(numbers), SPANS.c.high >= min(numbers)
    runs = [tuple(row) for row in connection.execute(select(SPANS.c.low, SPANS.c.high).where(*meant))]
    return {number for number in numbers for low, high in runs if low <= number <= high} if runs else set()


def highest_of(connection: Connection, device: str) -> int:
    """The largest number of a device that is here; 0: none is."""
    newest = connection.execute(select(func.max(ENTRIES.c.sequence)).where(ENTRIES.c.device == device)).scalar()
    last = connection.execute(select(func.max(SPANS.c.high)).where(SPANS.c.device == device)).scalar()
    return max(newest or 0, last or 0)


def _fold(connection: Connection, device: str, numbers: Sequence[int]) -> None:
    """Rows of one device into its runs."""
    known = [(row[0], row[1]) for row in connection.execute(select(SPANS.c.low, SPANS.c.high).where(SPANS.c.device == device))]
    then = runs_of(numbers, known)
    gone, fresh = set(known) - set(then), [run for run in then if run not in set(known)]
    connection.execute(delete(SPANS).where(SPANS.c.device == device, SPANS.c.low.in_([low for low, _ in gone])))
    if fresh:
        connection.execute(insert_into(SPANS), [{"device": device, "low": low, "high": high} for low, high in fresh])
    connection.execute(delete(ENTRIES).where(ENTRIES.c.device == device, ENTRIES.c.sequence.in_(numbers)))
