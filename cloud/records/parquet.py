"""Records as a Parquet file: as they are, to be read back without loss, or one line per row with a column per field, for tables of others.

Either way a field that is redacted, and a tensor that was too large to be kept, leaves no value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from ...sdk.core.errors import FormatError
from ...sdk.core.labels import Label
from ...sdk.core.records import RECORD_VERSION, Record
from ..deployment.table_files import arrow
from .rows import TEXTS, read, text_of
from .tables import COLUMNS

BATCH = 5000
Labels: TypeAlias = Callable[[list[str]], Mapping[tuple[str, int], Label]]
"""Ids of records -> the labels that count."""
WHOLE = {"server_ms", "event_ms", "sequence", "version"}
REAL = {"propensity", "selection"}


def write_records(path: Path, records: Iterable[Record], labels: Labels) -> int:
    """Write records as they are, tensors as JSON text, with their labels (a JSON list) in a last column; how many.

    Raises FormatError, MissingExtraError.
    """
    pyarrow, parquet = arrow()
    schema = pyarrow.schema([(name, _type(pyarrow, name)) for name in COLUMNS] + [("labels", pyarrow.string())],
                            {"portside": json.dumps({"records": RECORD_VERSION})})  # fmt: skip
    return _write(path, parquet, schema, (_plain(batch, labels) for batch in _batches(records)), pyarrow)


def read_records(path: Path) -> Iterator[tuple[Record, tuple[Label, ...]]]:
    """Records of a file that `write_records` made, with their labels. Raises FormatError, MissingExtraError."""
    pyarrow, parquet = arrow()
    try:
        with parquet.ParquetFile(path) as file:
            if b"portside" not in (file.schema_arrow.metadata or {}) or not {*COLUMNS, "labels"} <= set(file.schema_arrow.names):
                raise FormatError("This Parquet file holds no records as Portside writes them", got=str(path),
                                  fix="Write it with: portside records SOURCE --parquet FILE.")  # fmt: skip
            for batch in file.iter_batches(BATCH, columns=[*COLUMNS, "labels"]):
                for line in batch.to_pylist():
                    said = json.loads(line.pop("labels"))
                    yield read(tuple(line[name] for name in COLUMNS)), tuple(Label.from_dict(label) for label in said)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise FormatError(f"The records of this file cannot be read: {error}", got=str(path)) from error


def write_rows(path: Path, records: Callable[[], Iterable[Record]], labels: Labels) -> int:
    """Write a line per row: `in.x`, `trait.image.brightness`, `feature.x`, `out.label`, `label.label` and who answered; how many.

    The records are gone through twice: once to learn which columns there are. Raises FormatError, MissingExtraError.
    """
    pyarrow, parquet = arrow()
    kinds: dict[str, str] = {}
    for batch in _batches(records()):
        for line in _lines(batch, labels):
            for name, value in line.items():
                kinds[name] = _wider(kinds.get(name, ""), value)
    types = {"": pyarrow.null(), "bool": pyarrow.bool_(), "int": pyarrow.int64(), "real": pyarrow.float64(), "text": pyarrow.string()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()])
    batches = ([{name: _fit(kind, line.get(name)) for name, kind in kinds.items()} for line in _lines(batch, labels)]
               for batch in _batches(records()))  # fmt: skip
    return _write(path, parquet, schema, batches, pyarrow)


def rows_in(record: Record) -> int:
    """Rows of a record: what most of its kept fields have."""
    sizes = [len(cast("list[Any]", held)) for held in (*record.outputs.values(), *record.inputs.values()) if isinstance(held, list)]
    return max(set(sizes), key=lambda size: (sizes.count(size), size)) if sizes else 1


def _plain(batch: list[Record], labels: Labels) -> list[dict[str, Any]]:
    said = labels([record.id for record in batch])
    of: dict[str, list[Label]] = {}
    for label in said.values():
        of.setdefault(label.record, []).append(label)
    return [{**vars(record), **{name: text_of(getattr(record, name)) for name in TEXTS},
             "labels": text_of([label.to_dict() for label in of.get(record.id, ())])} for record in batch]  # fmt: skip


def _lines(batch: list[Record], labels: Labels) -> Iterator[dict[str, Any]]:
    said = labels([record.id for record in batch])
    for record in batch:
        count, receipt = rows_in(record), record.receipt
        about = {"id": record.id, "server_ms": record.server_ms, "event_ms": record.event_ms, "entity": record.entity, "name": record.name,
                 "deployment": record.deployment, "package": record.package, "arm": record.arm, "decided_by": record.decided_by,
                 "model": receipt.get("model"), "reason": receipt.get("reason"), "time_ms": receipt.get("time_ms"),
                 "propensity": record.propensity, "selection": record.selection}  # fmt: skip
        for row in range(count):
            label = said.get((record.id, row))
            yield {**about, "row": row, **{name: held[row] for name, held in _fields(record, count)}, **_labelled(label)}


def _labelled(label: Label | None) -> dict[str, Any]:
    if label is None:
        return {}
    return {**{f"label.{name}": value for name, value in label.values.items()}, "label_author": label.author, "label_at_ms": label.at_ms}


def _fields(record: Record, count: int) -> Iterator[tuple[str, list[Any]]]:
    """What holds a value per row."""
    named = [("in", record.inputs), ("out", record.outputs)]
    named += [("trait" if boundary == "traits" else "feature", held) for boundary, held in record.features.items()
              if isinstance(held, Mapping)]  # fmt: skip
    for prefix, fields in named:
        for name, held in fields.items():
            if isinstance(held, list) and len(cast("list[Any]", held)) == count:
                yield f"{prefix}.{name}", cast("list[Any]", held)


def _wider(kind: str, value: Any) -> str:
    """The kind of a column that holds this value too."""
    if value is None:
        return kind
    new = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "real" if isinstance(value, float) else "text"
    if kind in ("", new):
        return new
    return "real" if {kind, new} == {"int", "real"} else "text"


def _fit(kind: str, value: Any) -> Any:
    if value is None or kind in ("bool", "int"):
        return value
    if kind == "real":
        return float(value)
    return value if isinstance(value, str) else text_of(value)


def _type(pyarrow: Any, name: str) -> Any:
    if name == "exposed":
        return pyarrow.bool_()
    return pyarrow.int64() if name in WHOLE else pyarrow.float64() if name in REAL else pyarrow.string()


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(path: Path, parquet: Any, schema: Any, batches: Iterable[list[dict[str, Any]]], pyarrow: Any) -> int:
    """All batches, into a file that is there whole or not at all."""
    count, part = 0, path.with_name(path.name + ".part")
    try:
        with parquet.ParquetWriter(part, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
                count += len(batch)
        part.replace(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise FormatError(f"The file cannot be written: {error}", got=str(path)) from error
    finally:
        part.unlink(missing_ok=True)
    return count
