"""Writing labels: checked against the signature where it is known, durable when they are acknowledged, there once however often sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy import insert as insert_into
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import InputError, StoreError
from ...sdk.core.labels import Label, checked
from ...sdk.core.signature import Signature
from .database import Database, reason
from .rows import text_of
from .tables import DEPLOYMENTS, LABEL_COLUMNS, LABELS, RECORDS

MANY = 500


def label(database: Database, labels: Sequence[Label]) -> int:
    """Write labels, all or none; how many are new. When this returns they are durable.

    Raises:
        InputError: values that the signature cannot hold, a row that the record has not, an id that stands for another label already.
        StoreError: the database does not take them.
    """
    try:
        with database.write() as connection:
            return write_labels(connection, labels)
    except SQLAlchemyError as error:
        raise StoreError(f"The labels cannot be written: {reason(error)}", got=database.place,
                         fix="Send them again: what is there already is not written twice.") from error  # fmt: skip


def write_labels(connection: Connection, labels: Sequence[Label]) -> int:
    """The same within a transaction of the caller's (`Database.write`), which makes them durable. Raises InputError, SQLAlchemyError."""
    new, signatures = 0, dict[tuple[str, str], Signature | None]()
    for start in range(0, len(labels), MANY):
        part = labels[start : start + MANY]
        records = _records(connection, {label.record for label in part})
        rows = [_row(_fitting(connection, label, records.get(label.record), signatures)) for label in part]
        new += _insert(connection, rows, [_row(label) for label in part])
    return new


def as_kept(connection: Connection, label: Label) -> Label:
    """The label as `write_labels` would keep it: with codes in place of names. Raises InputError, SQLAlchemyError."""
    return _fitting(connection, label, _records(connection, {label.record}).get(label.record), {})


class _Labelled(NamedTuple):
    """What is needed of a record that is labelled."""

    id: str
    deployment: str
    name: str
    outputs: str


def _records(connection: Connection, ids: set[str]) -> dict[str, _Labelled]:
    """Those of the labelled records that are there (yet)."""
    table = RECORDS.c
    query = select(table.id, table.deployment, table.name, table.outputs).where(table.id.in_(ids))
    return {row[0]: _Labelled(*row) for row in connection.execute(query)}


def _fitting(connection: Connection, label: Label, record: _Labelled | None,
             signatures: dict[tuple[str, str], Signature | None]) -> Label:  # fmt: skip
    """The label as it is kept. Where its record or the signature is not known, it is kept as it was said."""
    if record is None:
        return label
    key, table = (record.deployment, record.name), DEPLOYMENTS.c
    if key not in signatures:
        held = connection.execute(select(table.signature).where(table.digest == key[0], table.name == key[1])).scalar()
        signatures[key] = None if held is None else Signature.from_dict(json.loads(held))
    signature = signatures[key]
    if signature is None:
        return label
    rows = rows_of(json.loads(record.outputs), signature)
    if rows is not None and label.row >= rows:
        raise InputError("The record has no such row", field="row", got=label.row, expected=f"0 to {rows - 1}")
    return checked(label, signature)


def rows_of(outputs: dict[str, Any], signature: Signature) -> int | None:
    """Rows of a record, as far as its kept outputs tell."""
    for spec in signature.outputs:
        held = outputs.get(spec.name)
        if spec.batch_axis == 0 and isinstance(held, list):
            return len(held)
        if spec.batch_axis is not None and isinstance(held, dict) and "shape" in held:
            return int(held["shape"][spec.batch_axis])
    return None


def _row(label: Label) -> dict[str, Any]:
    values = {**vars(label), "outputs": text_of(dict(label.values))}
    return {name: values[name] for name in LABEL_COLUMNS}


def _insert(connection: Connection, rows: list[dict[str, Any]], said: list[dict[str, Any]]) -> int:
    """Insert what is not there; how many that are. Raises InputError for an id that says something else already.

    A label that is there may be kept as it was `said`: its record came later.
    """
    query = select(*(LABELS.c[name] for name in LABEL_COLUMNS)).where(LABELS.c.id.in_([row["id"] for row in rows]))
    held, new = {found.id: found._asdict() for found in connection.execute(query)}, dict[str, dict[str, Any]]()
    for row, raw in zip(rows, said, strict=True):
        there = held.get(row["id"]) or new.setdefault(row["id"], row)
        if there not in (row, raw):
            raise InputError("This id stands for another label already", field="id", got=row["id"],
                             expected=f"the label of record {there['record']}, row {there['row']}",
                             fix="A correction is a new label with an id of its own.")  # fmt: skip
    if new:
        connection.execute(insert_into(LABELS), list(new.values()))
    return len(new)
