"""What a replay is made of: records as they were kept (SQLite, a URL, Parquet), or rows of a table, asked of the package as if now."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...runtimes.reference import Reference
from ...sdk.core.codec.codec import Codec
from ...sdk.core.door import Door
from ...sdk.core.errors import FormatError, InputError
from ...sdk.core.labels import Label
from ...sdk.core.package import Package
from ...sdk.core.records import Record, keep, uuid7
from ...sdk.core.traits import trait_kinds, traits
from ..deployment.table_files import arrow
from ..records.database import Database
from ..records.finding import place_of
from ..records.parquet import read_records
from ..records.reading import between, every_label

Replayed: TypeAlias = Iterator[tuple[Record, tuple[Label, ...]]]
BATCH = 256
BEGIN_MS = 1_767_225_600_000
"""2026-01-01: where rows without a time begin."""


@dataclass(frozen=True)
class Table:
    """How rows of a table become records.

    Attributes:
        label: the column with the truth, and `output`, which output it is about (default: the first one).
        time: the column that says when: Unix seconds, milliseconds, or ISO 8601; None: rows come `rows_per_minute` a minute.
    """

    label: str | None = None
    output: str | None = None
    time: str | None = None
    rows_per_minute: float = 60.0


def records_of(source: str) -> Replayed:
    """Records of a database or of a Parquet file of `portside records export`, by time, with their labels. Raises FormatError."""
    if source.endswith(".parquet"):
        yield from read_records(Path(source))
        return
    with Database.open(place_of(source)) as database:
        found = between(database, 0, 1 << 62)
        while batch := list(islice(found, BATCH)):
            labels: dict[str, list[Label]] = {}
            for label in every_label(database, [record.id for record in batch]):
                labels.setdefault(label.record, []).append(label)
            yield from ((record, tuple(labels.get(record.id, ()))) for record in batch)


def is_table(source: str) -> bool:
    """Rows of a table, not records."""
    if source.endswith(".csv"):
        return True
    if not source.endswith(".parquet"):
        return False
    _, parquet = arrow()
    return b"portside" not in (parquet.read_schema(source).metadata or {})


def rows_of(source: str, package: Package, deployment: str, table: Table) -> Replayed:
    """Rows of a .csv or .parquet file as records of a deployment: encoded, checked at the door, answered by the reference.

    Raises InputError, FormatError, TrustError; names the row.
    """
    session, signature = Reference().open(package, door=False), package.signature
    codec, door = Codec.from_steps(package.content.codec, package.read), Door(signature)
    kinds = trait_kinds(signature, codec.wire_fields(signature))
    fields = [field.name for field in codec.wire_fields(signature)]
    number = 0
    for columns in _batches(_columns(Path(source))):
        if absent := [name for name in (*fields, *filter(None, (table.label, table.time))) if name not in columns]:
            raise InputError(f"{Path(source).name} has no such column", field=absent[0], expected=", ".join(columns))
        wire = {name: columns[name] for name in fields}
        checked = door.check(codec.encode(wire))
        outputs = session.run(checked.arrays)
        looked = traits({**checked.arrays, **wire}, kinds) if kinds else {}
        for row in range(len(next(iter(columns.values())))):
            at_ms = _moment(columns[table.time][row]) if table.time else BEGIN_MS + int(number * 60_000 / table.rows_per_minute)
            record = Record(
                id=_id(source, number, at_ms), server_ms=at_ms, event_ms=at_ms, package=package.digest, name=deployment,
                inputs=keep(_row(checked.arrays, row), signature), outputs=keep(_row(outputs, row), signature),
                features={"traits": {name: [values[row]] for name, values in looked.items()}} if looked else {},
                receipt={"model": package.name, "reason": "replay", "time_ms": 0.0, "model_ms": 0.0, "within_deadline": True},
                flags=tuple({**flag._asdict(), "row": 0} for flag in checked.flags if flag.row == row),
            )  # fmt: skip
            yield record, _label(record, columns, row, table, signature.outputs[0].name)
            number += 1


def _label(record: Record, columns: Mapping[str, Sequence[Any]], row: int, table: Table, first: str) -> tuple[Label, ...]:
    value = columns[table.label][row] if table.label else None
    if value is None:
        return ()
    value = value.item() if isinstance(value, np.generic) else value
    number = uuid7(record.server_ms, sha256(f"label {record.id}".encode()).digest()[:10])
    return (Label(number, record.id, 0, {table.output or first: value}, "replay", record.server_ms, "import"),)


def _row(arrays: Mapping[str, Any], row: int) -> dict[str, Any]:
    """One row of a batch; arrays that count no rows go whole."""
    return {name: np.asarray(held[row])[None] if len(held) > row else np.asarray(held) for name, held in arrays.items()}


def _id(source: str, number: int, at_ms: int) -> str:
    """The same for the same row of the same file."""
    return uuid7(at_ms, sha256(f"{Path(source).name} {number}".encode()).digest()[:10])


def _columns(path: Path) -> dict[str, Any]:
    """A table by its columns. Raises FormatError."""
    try:
        if path.suffix == ".parquet":
            _, parquet = arrow()
            held = parquet.read_table(path)
            return {name: held[name].to_pylist() for name in held.column_names}
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise FormatError(f"The table cannot be read: {error}", got=str(path)) from error
    return {name: _typed([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _typed(cells: list[str]) -> list[Any]:
    """Whole numbers, else numbers with empty cells as NaN, else text with empty cells as None."""
    for kind in (int, float):
        try:
            return [kind(cell) if cell or kind is int else float("nan") for cell in cells]
        except ValueError:
            continue
    return [cell or None for cell in cells]


def _batches(columns: Mapping[str, Any]) -> Iterator[dict[str, list[Any]]]:
    rows = len(next(iter(columns.values()), ()))
    for start in range(0, rows, BATCH):
        yield {name: values[start : start + BATCH] for name, values in columns.items()}


def _moment(value: Any) -> int:
    """Unix milliseconds of a cell. Raises InputError."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1e3)
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            return int(datetime.fromisoformat(value).timestamp() * 1e3)
        number = float(value)
    except (ValueError, TypeError) as error:
        raise InputError("A row has no time", got=value, expected="Unix seconds, milliseconds, or ISO 8601") from error
    return int(number if number > 1e11 else number * 1e3)
