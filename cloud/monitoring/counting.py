"""Records into minutes, each once: the cursor moves in the same transaction as the windows that hold what it passed.

`counted` is pure. `count` reads what is new, counts it, and writes minutes, exact counts of the objectives, how right labelled records
were, and the cursor together. A monitor that is killed at any moment has counted a batch, or has not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from ...sdk.core.labels import Label
from ...sdk.core.records import UNANSWERED, Record
from ...sdk.core.window import Window
from ..alerts.slo import Counts
from ..records.reading import after, labels_after, labels_of
from .about import About
from .cursors import COUNT, Cursor, cursor_of, move, read_cursor
from .labelled import judged_minutes, minutes_of, replace_quality
from .levels import floor
from .performing import performed
from .storing import QUALITY, TRAFFIC, at, merge_in, spanned, starts
from .summing import summed
from .tables import COUNTS
from .turn import Turn
from .upsert import add

BATCH = 1000
Note = Callable[[str], None]
"""Told where the work stands: "read", "counting", "counted". Tests kill the process there."""


def quiet(point: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Tally:
    """What a batch says, by minute: its window, and by (minute, objective) how many answers were good and bad."""

    windows: Mapping[int, Window] = field(default_factory=dict[int, Window])
    counts: Mapping[tuple[int, str], Counts] = field(default_factory=dict[tuple[int, str], Counts])


def counted(records: Sequence[Record], about: About) -> Tally:
    """The records as minutes of the server's time."""
    minutes: dict[int, list[Record]] = {}
    for record in records:
        minutes.setdefault(floor("minute", record.server_ms), []).append(record)
    windows = {start: spanned(summed(held, about), about.name, "minute", start) for start, held in minutes.items()}
    return Tally(windows, {(start, name): held for start, part in minutes.items() for name, held in _objectives(part, about).items()})


def count(turn: Turn, about: About, note: Note = quiet, limit: int = BATCH) -> int:
    """Count what was committed since the cursor, once; how many records and labels that were. Fewer than `limit`: nothing more is there.

    Raises:
        LostTurnError: another monitor acts.
        FormatError, SQLAlchemyError: the database cannot be read, or does not take it; nothing is counted then.
    """
    database, name = turn.database, about.name
    held = read_cursor(database, name, COUNT)
    fresh, labels = after(database, held.records, limit, name), labels_after(database, held.labels, limit)
    if not fresh and not labels:
        return 0
    records = [record for _, record in fresh]
    early = labels_of(database, [record.id for record in records]) if records else {}
    note("read")
    tally = counted(records, about)
    touched = minutes_of(database, name, {*(label.record for _, label in labels), *(record for record, _ in early)})
    quality = judged_minutes(database, about, touched)
    moved = Cursor(fresh[-1][0] if fresh else held.records, labels[-1][0] if labels else held.labels, data=held.data)
    with turn.write() as connection:
        if cursor_of(connection, name, COUNT) != held:
            return 0  # what was read is counted already: another monitor had its turn in between
        note("counting")
        write(connection, name, tally)
        before = at(connection, name, "minute", QUALITY, quality)
        replace_quality(connection, name, quality)
        move(connection, name, COUNT, replace(moved, data=performed(held.data, before, quality, about, newest_ms(labels, records))))
        note("committing")
    note("counted")
    return max(len(fresh), len(labels))


def newest_ms(labels: Sequence[tuple[int, Label]], records: Sequence[Record]) -> int:
    """When the newest of them came, by what they say: the same however late they are counted."""
    return max((*(label.at_ms for _, label in labels), *(record.server_ms for record in records)))


def write(connection: Connection, deployment: str, tally: Tally) -> None:
    """Merge a tally into the minutes that are there; hours and days that have been made already get what came late."""
    for start, window in tally.windows.items():
        merge_in(connection, deployment, "minute", TRAFFIC, start, window)
        for level in ("hour", "day"):
            whole = floor(level, start)
            if starts(connection, deployment, level, TRAFFIC, whole, whole + 1):
                merge_in(connection, deployment, level, TRAFFIC, whole, window)
    for (start, name), held in tally.counts.items():
        add(connection, COUNTS, {"deployment": deployment, "name": name, "start_ms": start}, {"good": held.good, "bad": held.bad})


def _objectives(records: Iterable[Record], about: About) -> dict[str, Counts]:
    """Good and bad answers by objective. A record without an answer is a request that nothing could answer; what was refused otherwise
    is counted by the server (board.py)."""
    good, bad = Counter[str](), Counter[str]()
    slow = about.settings.slo.slow
    for record in records:
        receipt = record.receipt
        if record.arm == UNANSWERED:
            bad["availability"] += 1
            continue
        good["availability"] += 1
        (good if receipt.get("within_deadline", True) else bad)["in_time"] += 1
        for name, (_, limit_ms) in slow.items():
            (good if float(receipt.get("time_ms", 0.0)) <= limit_ms else bad)[name] += 1
    return {name: Counts(good[name], bad[name]) for name in {*good, *bad}}
