"""The tables of the records database, on SQLite and PostgreSQL alike.

- `records`: one row per served answer; tensors, features, receipt and flags as JSON text. `seq` counts in commit order.
- `labels`: one row per label; nothing is ever changed in place. `outputs` is JSON: output -> value.
- `deployments`: (digest, name) -> signature, so that whoever reads records knows what they hold. The step `s` of a graph `g` has the
  name "g/s" and the graph's digest.

Other parts define their tables on `METADATA` too and make them with `Database.prepare`. A table with a column `record` holds what
belongs to the record of that id: it is deleted with it (retention.py).
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from ...sdk.core.labels import Label
from ...sdk.core.records import Record

VERSION = 2
"""Of these tables. 1: SQLite files with the table `records` alone, by id, without `seq` and `name`."""
METADATA = MetaData()
COLUMNS = tuple(item.name for item in fields(Record))
LABEL_COLUMNS = tuple({"values": "outputs"}.get(item.name, item.name) for item in fields(Label))
NUMBERS: dict[str, TypeEngine[Any]] = {
    "server_ms": BigInteger(), "event_ms": BigInteger(), "sequence": BigInteger(), "version": Integer(), "exposed": Integer(),
    "propensity": Float(53), "selection": Float(53), "row": Integer(), "at_ms": BigInteger(),
}  # fmt: skip
"""Columns that hold no text."""
OPTIONAL = {"entity", "selection_reason", "parent", "device", "sequence"}


def sequence() -> Column[int]:
    """The column `seq`: larger with every commit, never used twice. (A function: a column belongs to one table.)"""
    return Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _columns(names: tuple[str, ...]) -> list[Column[Any]]:
    return [Column(name, NUMBERS.get(name, Text()), nullable=name in OPTIONAL, unique=name == "id") for name in names]


RECORDS = Table("records", METADATA, sequence(), *_columns(COLUMNS), sqlite_autoincrement=True)
LABELS = Table("labels", METADATA, sequence(), *_columns(LABEL_COLUMNS), sqlite_autoincrement=True)
DEPLOYMENTS = Table(
    "deployments", METADATA, Column("digest", Text(), primary_key=True), Column("name", Text(), primary_key=True),
    Column("signature", Text(), nullable=False), Column("seen_ms", BigInteger(), nullable=False),
)  # fmt: skip
Index("records_by_time", RECORDS.c.server_ms)
Index("records_by_entity", RECORDS.c.entity, sqlite_where=RECORDS.c.entity.is_not(None), postgresql_where=RECORDS.c.entity.is_not(None))
Index("records_by_parent", RECORDS.c.parent, sqlite_where=RECORDS.c.parent.is_not(None), postgresql_where=RECORDS.c.parent.is_not(None))
Index("labels_by_record", LABELS.c.record, LABELS.c.row)
OWN = (RECORDS, LABELS, DEPLOYMENTS)
