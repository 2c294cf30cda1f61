"""Records that fit what a person asks for, newest first, a page at a time.

The database is asked for names, an entity and times, which it has indexes for; the rest is looked at in at most `SCAN` records a page. So
a page may hold fewer than were asked for although there are more: `next` says where to go on. Of those it passes over in its own
language what its texts rule out, so that a server that answers requests beside does not parse thousands of records for a page of none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import FormatError
from ...sdk.core.labels import Label
from ...sdk.core.records import SHADOW, UNANSWERED, Record
from ...sdk.core.signature import Signature
from ..records.database import Database, reason
from ..records.reading import labels_of
from ..records.rows import read
from ..records.tables import COLUMNS, LABELS, RECORDS
from .naming import specs, wrong

SCAN, MOST = 2000, 200
STATES = ("any", "labelled", "unlabelled", "wrong", "right", "flagged", "late", "fallback", "unanswered")
Signatures: TypeAlias = Callable[[Record], "Signature | None"]
_plain = re.compile(r"[A-Za-z0-9 .:/@_-]+").fullmatch
"""Text that stands in JSON as it is."""
_RECORD = tuple(RECORDS.c[name] for name in COLUMNS)


@dataclass(frozen=True)
class Wanted:
    """What is asked for. Empty texts and None ask for nothing.

    Attributes:
        names: of deployments; none: nothing is found.
        model, reason: as receipts say.
        state: of STATES.
        value: "field=value", an input or output that some row holds, a category by its name.
    """

    names: tuple[str, ...]
    entity: str = ""
    model: str = ""
    reason: str = ""
    state: str = "any"
    value: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def plain(self) -> bool:
        """The database alone can tell."""
        return not (self.model or self.reason or self.value) and self.state == "any"


@dataclass(frozen=True)
class Found:
    """A page. `records`: with the label of each labelled row. `next`: where to go on; None: there is no more."""

    records: list[tuple[Record, dict[int, Label]]] = field(default_factory=list[tuple[Record, dict[int, Label]]])
    next: int | None = None
    scanned: int = 0


def find(database: Database, wanted: Wanted, before: int | None, limit: int, signatures: Signatures) -> Found:
    """The newest records that fit, before a place.

    Args:
        before: as `Found.next`; None: from the newest on.
        limit: at most so many, up to MOST.
        signatures: record -> what it holds, or None.

    Raises FormatError.
    """
    most = limit if wanted.plain else SCAN
    places, held_records = _rows(database, wanted, before, most)
    labels = labels_of(database, [record.id for record in held_records.values()])
    by_record: dict[str, dict[int, Label]] = {}
    for (record_id, row), label in labels.items():
        by_record.setdefault(record_id, {})[row] = label
    found, last, seen = list[tuple[Record, dict[int, Label]]](), before, 0
    for seq in places[:most]:
        last, seen = seq, seen + 1
        record = held_records.get(seq)
        if record is None:
            continue
        held = by_record.get(record.id, {})
        if fits(wanted, record, held, signatures(record)):
            found.append((record, dict(sorted(held.items()))))
        if len(found) == limit:
            break
    return Found(found, last if seen < len(places) else None, seen)


def fits(wanted: Wanted, record: Record, labels: dict[int, Label], signature: Signature | None) -> bool:
    """Whether a record is one of those asked for, beyond what the database was asked."""
    receipt = record.receipt
    if wanted.model and receipt.get("model") != wanted.model:
        return False
    if wanted.reason and receipt.get("reason") != wanted.reason:
        return False
    return _in_state(wanted.state, record, labels, signature) and (not wanted.value or _holds(wanted.value, record, signature))


def _in_state(state: str, record: Record, labels: dict[int, Label], signature: Signature | None) -> bool:
    if state in ("wrong", "right"):
        verdicts = [wrong(record, label, signature) for label in labels.values()]
        return any(verdicts) if state == "wrong" else bool(verdicts) and all(verdict is False for verdict in verdicts)
    return {
        "any": True, "labelled": bool(labels), "unlabelled": not labels, "flagged": bool(record.flags),
        "late": record.receipt.get("within_deadline") is False, "fallback": record.arm == "fallback",
        "unanswered": record.arm == UNANSWERED,
    }[state]  # fmt: skip


def _holds(value: str, record: Record, signature: Signature | None) -> bool:
    """Whether a row holds "field=value"."""
    name, _, said = value.partition("=")
    kept = record.inputs.get(name, record.outputs.get(name))
    spec = specs(signature).get(name)
    if spec is not None and spec.categories is not None and said in spec.categories:
        said = str(spec.categories.index(said))
    return any(str(one) == said for one in (kept if isinstance(kept, list) else [kept]))  # pyright: ignore[reportUnknownVariableType]


def _query(wanted: Wanted, before: int | None) -> Select[Any]:
    query = select(RECORDS.c.seq, *_RECORD).where(RECORDS.c.name.in_(wanted.names), RECORDS.c.arm != SHADOW).order_by(RECORDS.c.seq.desc())
    if before is not None:
        query = query.where(RECORDS.c.seq < before)
    if wanted.until_ms is not None:
        query = query.where(RECORDS.c.server_ms < wanted.until_ms)
    if wanted.since_ms is not None:
        query = query.where(RECORDS.c.server_ms >= wanted.since_ms)
    return query.where(RECORDS.c.entity == wanted.entity) if wanted.entity else query


def _may(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What every record that fits fulfils, and many that do not: `fits` has the last word."""
    table = RECORDS.c
    states: dict[str, ColumnElement[bool]] = {
        "fallback": table.arm == "fallback", "unanswered": table.arm == UNANSWERED, "flagged": table.flags != "[]",
        "late": or_(table.receipt.contains('"within_deadline":false'), table.receipt.contains('"within_deadline": false')),
        **dict.fromkeys(("labelled", "wrong", "right"), select(LABELS.c.id).where(LABELS.c.record == table.id).exists()),
    }  # fmt: skip
    said = [text for text in (wanted.model, wanted.reason) if _plain(text)]
    return [*(table.receipt.contains(text, autoescape=True) for text in said), *([states[wanted.state]] if wanted.state in states else [])]


def _rows(database: Database, wanted: Wanted, before: int | None, most: int) -> tuple[list[int], dict[int, Record]]:
    """Places of `most` records and one more, newest first; of the first `most`, those that may fit."""
    query = _query(wanted, before)
    try:
        with database.read() as connection:
            places = list(connection.execute(query.with_only_columns(RECORDS.c.seq).limit(most + 1)).scalars())
            if not places:
                return [], {}
            seen = query.where(RECORDS.c.seq >= places[:most][-1], RECORDS.c.seq <= places[0], *_may(wanted))
            return places, {row[0]: read(tuple(row[1:])) for row in connection.execute(seen)}
    except (SQLAlchemyError, ValueError) as error:
        raise FormatError(f"The records cannot be read: {reason(error)}", got=database.place) from error
