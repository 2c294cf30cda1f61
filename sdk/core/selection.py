"""With which probability a row of a record was chosen for a person to look at, and why. Pure.

A record is one request, and its rows may have been chosen alike or not: a confident row by lot, an unsure one for certain. Where they
differ, what holds for each stands in the record's receipt under "automation"; `Record.selection` is then the smallest of them.

    >>> selection_of(Record("a", 0, 0, selection=0.05, selection_reason="confident"), 0)
    Selection(probability=0.05, reason='confident', decided_by='model')
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .records import Record

AUTOMATION = "automation"
"""Key of a record's receipt."""


class Selection(NamedTuple):
    """How a row came to be looked at, or not.

    Attributes:
        probability: known before the draw; 0: nothing chose rows, or never this one.
        reason: "confident", "check", "low-confidence", "level", ...; None: nothing chose rows.
        decided_by: whose answer stands: "model" (or what answered in its place), "person", or "both".
    """

    probability: float
    reason: str | None
    decided_by: str


def selection_of(record: Record, row: int) -> Selection:
    """Of one row of a record."""
    rows: list[list[Any]] = record.receipt.get(AUTOMATION, {}).get("rows", [])
    if 0 <= row < len(rows):
        probability, reason, by = rows[row]
        return Selection(float(probability), str(reason), str(by))
    return Selection(record.selection, record.selection_reason, record.decided_by)
