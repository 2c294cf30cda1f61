"""`portside records`: what was asked, what was answered, by whom and why; newest last."""

from __future__ import annotations

import argparse
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from ...cloud.deployment.file import read
from ...cloud.records.store import records
from ..core.errors import FormatError
from ..core.records import Record
from .console import Result, table

EXAMPLE = """
  portside records deployment.toml --last 50      where that deployment writes them
  portside records records.sqlite --json          as data, with inputs and outputs
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where they are and how many."""
    parser.add_argument("source", type=Path, metavar="DEPLOYMENT.toml|FILE.sqlite")
    parser.add_argument("--last", type=int, default=20, help="how many of the newest (default: 20; 0 for all)")
    parser.add_argument("--entity", help="only those about this entity")
    parser.add_argument("--id", help="only the record of this id")


def run(args: argparse.Namespace) -> Result:
    """Read the file; it may be written to meanwhile."""
    path = _file(args.source)
    found = (record for record in records(path) if args.entity in (None, record.entity) and args.id in (None, record.id))
    held = list(deque(found, maxlen=args.last or None))
    rows = [_row(record) for record in held]
    text = table(rows, head=["time", "id", "entity", "model", "reason", "ms", "outputs"]) if rows else f"no records in {path}"
    return Result([record.to_dict() for record in held], text)


def _file(source: Path) -> Path | str:
    path: Path | str = source
    if source.suffix == ".toml":
        deployment = read(source)
        path = deployment.records.place(deployment.folder)
    if isinstance(path, Path) and not path.is_file():
        raise FormatError("There is no file of records", got=str(path), fix="Records are written from the first served answer on.")
    return path


def _row(record: Record) -> list[object]:
    when = datetime.fromtimestamp(record.server_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    outputs = ", ".join(f"{name}={str(value)[:24]}" for name, value in record.outputs.items())
    receipt = record.receipt
    return [when, record.id, record.entity, receipt.get("model"), receipt.get("reason"), f"{receipt.get('time_ms', 0.0):.1f}", outputs[:80]]
