"""`portside label`: say later what was right, for one row of one record, or for many from a file."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from ...cloud.deployment.table_files import arrow
from ...cloud.records.finding import open_records
from ...cloud.records.labelling import label
from ..core.errors import FormatError, InputError
from ..core.labels import SOURCES, Label
from ..core.records import new_id, uuid7
from .console import Result
from .moments import moment_ms

EXAMPLE = """
  portside label deployment.toml 0190d1... label=cat --author ana          row 0 of that record was a cat
  portside label deployment.toml 0190d1... price=12.5 --row 3 --author till --note "as paid"
  portside label deployment.toml --file outcomes.csv --author crm          columns: record, row, the outputs, perhaps author, at, note, id
"""
OWN = {"id", "record", "row", "author", "at", "at_ms", "note", "source"}
"""Columns of a file that are no outputs."""
BATCH = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where the records are, and what is said of them."""
    parser.add_argument("source", metavar="DEPLOYMENT.toml|FILE.sqlite|URL")
    parser.add_argument("record", nargs="?", metavar="RECORD", help="its id, as receipts hold it")
    parser.add_argument("values", nargs="*", metavar="OUTPUT=VALUE", help="what was right; names of categories, numbers or JSON")
    parser.add_argument("--row", type=int, default=0, help="of the record (default: 0)")
    parser.add_argument("--author", help="who says so")
    parser.add_argument("--note", default="", help="free text")
    parser.add_argument("--file", type=Path, metavar="FILE.csv|jsonl|parquet", help="labels of many rows; read twice they are there once")


def run(args: argparse.Namespace) -> Result:
    """Write them; what is reported is durable. Raises InputError, FormatError, StoreError."""
    if (args.file is None) == (args.record is None):
        raise InputError("Labels are said for one record, or come from a file", expected="RECORD OUTPUT=VALUE..., or --file FILE")
    labels = [_said(args)] if args.file is None else list(from_file(args.file, args.author))
    with open_records(args.source) as database:
        new = sum(label(database, labels[start : start + BATCH]) for start in range(0, len(labels), BATCH))
    text = f"{new} labels written" + (f", {len(labels) - new} were there already" if new < len(labels) else "")
    return Result({"new": new, "ids": [said.id for said in labels]}, text)


def from_file(path: Path, author: str | None = None) -> Iterator[Label]:
    """Labels of a file. One without an id gets one from what it says, so that a file may be read twice.

    Raises FormatError and InputError, which name the line.
    """
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in readers:
        raise FormatError("Labels come in a file of another kind", got=path.name, expected=", ".join(readers))
    try:
        written_ms = path.stat().st_mtime_ns // 1_000_000
        for number, line in enumerate(readers[path.suffix](path), 1):
            try:
                yield _label(line, author, written_ms)
            except InputError as error:
                raise InputError(f"{path.name}, label {number}: {error.what}", field=error.field, row=number, got=error.got,
                                 expected=error.expected, fix=error.fix) from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise FormatError(f"{path.name} cannot be read as labels: {error}", got=str(path)) from error


def _said(args: argparse.Namespace) -> Label:
    pairs = [word.partition("=") for word in args.values]
    if not pairs or any(not middle for _, middle, _ in pairs):
        raise InputError("A label says what outputs should have been", got=" ".join(args.values) or "nothing", expected="OUTPUT=VALUE ...")
    number = new_id()
    return Label(number, args.record, args.row, {name: _value(text) for name, _, text in pairs}, args.author or "", UUID(number).int >> 80,
                 "api", args.note)  # fmt: skip


def _label(line: Mapping[str, Any], author: str | None, written_ms: int) -> Label:
    values = {name: value for name, value in line.items() if name not in OWN and value is not None}
    values.update(cast("dict[str, Any]", values.pop("values")) if isinstance(values.get("values"), dict) else {})
    said = str(line["at"]) if line.get("at") else ""
    at_ms = int(line["at_ms"]) if line.get("at_ms") else moment_ms(said) if said else written_ms
    source = line.get("source") or "import"
    if source not in SOURCES:
        raise InputError("A label has an unknown source", field="source", got=source, expected=", ".join(SOURCES))
    record, row, who = str(line.get("record") or ""), int(line.get("row") or 0), str(line.get("author") or author or "")
    given = str(line.get("id") or _number(at_ms, record, row, values, who))
    return Label(given, record, row, values, who, at_ms, source, str(line.get("note") or ""))


def _number(at_ms: int, *said: Any) -> str:
    """A UUIDv7 that is the same for the same label."""
    return uuid7(at_ms, hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).digest()[:10])


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line in csv.DictReader(file):
            yield {name: held if name in OWN else _value(held) for name, held in line.items() if held not in ("", None)}


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError(f"line {number} is no object")
            yield cast("dict[str, Any]", line)


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    pyarrow, parquet = arrow()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error


def _value(text: str) -> Any:
    """JSON where it is some, else the text itself: `cat`, `1`, `[0.5, 1]`."""
    try:
        return json.loads(text)
    except ValueError:
        return text
