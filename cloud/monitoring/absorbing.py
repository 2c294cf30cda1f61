"""What workers said on their boards, added to the counts of the minute: each number once, with a cursor like everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..alerts.slo import Counts
from .board import Said
from .cursors import Cursor, cursor_of, move
from .levels import floor
from .tables import COUNTS
from .turn import Turn
from .upsert import add

BOARDS = "boards"
RECORDS, AVAILABILITY = "records", "availability"
UNAVAILABLE = ("refused_500", "refused_502", "refused_503", "refused_504", "refused_429")
"""Refusals that are no fault of the caller."""


def absorb(turn: Turn, said: Iterable[tuple[str, Said]], now_ms: int) -> Counts:
    """Take what was added since the last time; records written and lost. Raises LostTurnError, SQLAlchemyError."""
    words = dict(said)
    with turn.write() as connection:
        held = cursor_of(connection, turn.deployment, BOARDS).data
        added = added_of(words, held)
        for name, counts in added.items():
            if counts.total:
                key = {"deployment": turn.deployment, "name": name, "start_ms": floor("minute", now_ms)}
                add(connection, COUNTS, key, {"good": counts.good, "bad": counts.bad})
        after = {name: dict(one.counts) for name, one in words.items()}
        if after != held:
            move(connection, turn.deployment, BOARDS, Cursor(data=after))
    return added[RECORDS]


def added_of(words: Mapping[str, Said], held: Mapping[str, Mapping[str, int]]) -> dict[str, Counts]:
    """By objective what was added: records written and lost; requests that were refused though they were well asked."""
    more = [one.since(held.get(name, {})) for name, one in words.items()]
    written, lost = (sum(one.get(name, 0) for one in more) for name in ("written", "lost"))
    return {RECORDS: Counts(written, lost), AVAILABILITY: Counts(0, sum(one.get(name, 0) for one in more for name in UNAVAILABLE))}
