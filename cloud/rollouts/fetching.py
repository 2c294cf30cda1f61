"""What came since the controller last looked: records of the rollout, their pairs, labels. Reads only what units are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, select

from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ..records.database import Database
from ..records.reading import every_label, labels_after
from ..records.tables import LABELS, RECORDS

try:
    import orjson

    _parse: Callable[[str], Any] = orjson.loads
except ModuleNotFoundError:  # rollouts are looked at without the serving libraries too
    _parse = json.loads

SHADOW = "shadow"
"""The arm of records whose answers nobody was given."""
HERE = RECORDS.c.device.is_(None)
"""What a device sends is of no arm: it has releases of its own, its times are another machine's, and what it says is not trusted."""
MANY = 400
_PLAIN = ("id", "server_ms", "entity", "package", "arm", "propensity", "parent", "selection", "selection_reason", "decided_by")
_JSON = ("features", "receipt", "outputs")


def top(database: Database) -> tuple[int, int]:
    """The largest `seq` of records and of labels. Raises SQLAlchemyError."""
    with database.read() as connection:
        return tuple(connection.execute(select(func.max(table.c.seq))).scalar() or 0 for table in (RECORDS, LABELS))  # pyright: ignore[reportReturnType]


def noted(database: Database, name: str, seq: int, limit: int) -> tuple[list[Record], int, bool]:
    """Records after the cursor that say something of a rollout, how far they go, and whether more may be there.

    Outputs are read of shadows alone. Raises SQLAlchemyError, ValueError.
    """
    table = RECORDS.c
    end = top(database)[0]
    wanted = (table.seq > seq, table.seq <= end, table.name == name, table.features.contains('"rollout"'), HERE)
    outputs = case((table.arm == SHADOW, table.outputs), else_="{}").label("outputs")
    query = select(table.seq, *(table[one] for one in (*_PLAIN, "features", "receipt")), outputs).where(*wanted)
    with database.read() as connection:
        rows = connection.execute(query.order_by(table.seq).limit(limit)).all()
    whole = len(rows) < limit
    return [_record(row) for row in rows], end if whole else rows[-1].seq, not whole


def by_id(database: Database, ids: Collection[str]) -> dict[str, Record]:
    """Whole records by id. Raises SQLAlchemyError, ValueError."""
    return {record.id: record for record in _found(database, RECORDS.c.id, ids)}


def shadows_of(database: Database, ids: Collection[str]) -> dict[str, list[Record]]:
    """id of a record -> what challengers answered beside it. Raises SQLAlchemyError, ValueError."""
    found: dict[str, list[Record]] = {}
    for record in _found(database, RECORDS.c.parent, ids, RECORDS.c.arm == SHADOW):
        found.setdefault(str(record.parent), []).append(record)
    return found


def lately(database: Database, name: str, since_ms: int, most: int) -> list[Record]:
    """The newest records of a deployment that a caller was given, or nobody, since then. Raises SQLAlchemyError, ValueError."""
    table = RECORDS.c
    query = select(*_columns()).where(table.name == name, table.server_ms >= since_ms, table.arm != SHADOW, table.parent.is_(None), HERE)
    with database.read() as connection:
        return [_record(row) for row in connection.execute(query.order_by(table.seq.desc()).limit(most))]


def new_labels(database: Database, seq: int, limit: int) -> tuple[list[Label], int, bool]:
    """Labels after the cursor, how far they go, and whether more may be there. Raises FormatError."""
    found = labels_after(database, seq, limit)
    return [label for _, label in found], found[-1][0] if found else seq, len(found) == limit


def labels_about(database: Database, ids: Iterable[str], until: int | None = None) -> list[Label]:
    """Every label of these records, in the order in which they came. until: those up to this `seq`. Raises FormatError, SQLAlchemyError."""
    held = sorted(set(ids))
    if until is None:
        return every_label(database, held)
    found, table = list[str](), LABELS.c
    with database.read() as connection:
        for start in range(0, len(held) if until else 0, MANY):
            query = select(table.record).where(table.record.in_(held[start : start + MANY]), table.seq <= until).distinct()
            found += connection.execute(query).scalars()
    return every_label(database, sorted(found)) if found else []


def _columns() -> Sequence[ColumnElement[Any]]:
    return [RECORDS.c[name] for name in ("seq", *_PLAIN, *_JSON)]


def _found(database: Database, column: ColumnElement[Any], ids: Collection[str], *more: ColumnElement[bool]) -> list[Record]:
    held, found = sorted(set(ids)), list[Record]()
    with database.read() as connection:
        for start in range(0, len(held), MANY):
            query = select(*_columns()).where(column.in_(held[start : start + MANY]), HERE, *more).order_by(RECORDS.c.seq)
            found += [_record(row) for row in connection.execute(query)]
    return found


def _record(row: Row[Any]) -> Record:
    data = row._asdict()
    parsed: dict[str, Any] = {name: _parse(data[name]) for name in _JSON}
    return Record.quick(**{name: data[name] for name in _PLAIN}, **parsed, event_ms=data["server_ms"])
