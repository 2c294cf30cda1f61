"""`portside records`: what was asked, what was answered, by whom and why; newest last. Also a file of it, and its end."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from ...cloud.deployment.file import read
from ...cloud.records.database import Database
from ...cloud.records.finding import open_records
from ...cloud.records.forgetting import MANY, Keep, expire, forget_entity
from ...cloud.records.parquet import write_records, write_rows
from ...cloud.records.reading import between, every_label, find, labels_of
from ...cloud.rollouts.counting import forget_counted
from ..core.errors import InputError
from ..core.labels import Label
from ..core.records import Record
from .console import Exit, Result, fields, progress, table
from .moments import moment_ms, shown_ms

EXAMPLE = """
  portside records deployment.toml --last 50                     where that deployment writes them
  portside records records.sqlite --since 2h --reason deadline   those of two hours that the champion was too late for
  portside records deployment.toml --id 0190d1...                one of them, with its labels
  portside records deployment.toml --parquet may.parquet --since 2026-05-01 --until 2026-06-01
  portside records deployment.toml --parquet rows.parquet --by-row   a line per row, a column per field
  portside records deployment.toml delete --entity ana --yes     everything about one subject
  portside records deployment.toml expire                        what [records] keep_days and keep_mb no longer keep
"""
EVER_MS = 1 << 60


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where they are, which, and what to do with them."""
    parser.add_argument("source", metavar="DEPLOYMENT.toml|FILE.sqlite|URL")
    parser.add_argument("action", nargs="?", choices=("list", "delete", "expire"), default="list", help="default: list")
    parser.add_argument("--last", type=int, default=20, help="how many of the newest (default: 20; 0 for all)")
    parser.add_argument("--id", help="only the record of this id, whole and with its labels")
    parser.add_argument("--entity", help="only those about this entity")
    parser.add_argument("--deployment", metavar="NAME", help="only those of this deployment; the steps of a graph are GRAPH/STEP")
    parser.add_argument("--since", metavar="TIME", help="7d, 2h, 30m ago, or 2026-05-01T12:00 (UTC)")
    parser.add_argument("--until", metavar="TIME", help="the same; later ones are left out")
    parser.add_argument("--model", help="only those that this model answered")
    parser.add_argument("--reason", help="only those with this reason in the receipt: primary, deadline, busy, cached, ...")
    parser.add_argument("--flagged", action="store_true", help="only those in which the door noticed something")
    parser.add_argument("--shadows", action="store_true", help="also the answers of challengers that nobody was given")
    parser.add_argument("--labelled", action="store_true", help="only those with a label")
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="write all that fit into a file instead, with their labels")
    parser.add_argument("--by-row", action="store_true", help="the file has a line per row and a column per field")
    parser.add_argument("--yes", action="store_true", help="delete, instead of saying what would be deleted")


def run(args: argparse.Namespace) -> Result:
    """Read the database; it may be written to meanwhile. Raises FormatError, InputError, StoreError."""
    if args.by_row and args.parquet is None:
        raise InputError("--by-row says how a file is written", expected="--parquet FILE beside it")
    with open_records(args.source) as database:
        if args.action == "delete":
            return _delete(args, database)
        if args.action == "expire":
            return _expire(args, database)
        if args.parquet is not None:
            return _write(args, database)
        if args.id is not None:
            return _one(args, database)
        return _list(args, database)


def _list(args: argparse.Namespace, database: Database) -> Result:
    held = list(islice(_chosen(args, database, newest_first=True), args.last or None))[::-1]
    labels = labels_of(database, [record.id for record in held])
    rows = [_row(record, labels) for record in held]
    head = ["time", "id", "entity", "model", "reason", "ms", "outputs", "label"]
    text = table(rows, head=head) if rows else f"no records in {database.place} that fit"
    return Result([_data(record, list(labels.values())) for record in held], text)


def _one(args: argparse.Namespace, database: Database) -> Result:
    record = find(database, args.id)
    if record is None:
        return Result([], f"no record {args.id} in {database.place}", Exit.NO)
    labels = every_label(database, [args.id])
    parts = {**record.to_dict(), "time": shown_ms(record.server_ms)}
    said = [[shown_ms(label.at_ms), label.row, label.author, label.source, dict(label.values), label.note] for label in labels]
    text = fields(parts) + ("\n\n" + table(said, head=["labelled", "row", "author", "source", "values", "note"]) if said else "")
    return Result([_data(record, labels)], text)


def _write(args: argparse.Namespace, database: Database) -> Result:
    chosen = partial(_chosen, args, database)
    labels = partial(labels_of, database)
    count = write_rows(args.parquet, chosen, labels) if args.by_row else write_records(args.parquet, chosen(), labels)
    lines = "rows" if args.by_row else "records"
    return Result({"file": str(args.parquet), lines: count}, f"{count} {lines} in {args.parquet}", Exit.DONE if count else Exit.NO)


def _delete(args: argparse.Namespace, database: Database) -> Result:
    if not args.entity:
        raise InputError("Deleting needs a subject", expected="--entity NAME")
    if not args.yes:
        count = sum(1 for _ in between(database, 0, EVER_MS, entity=args.entity, shadows=True))
        text = f"{count} records about {args.entity} would be deleted, with their labels and reviews. Say --yes to do it."
        return Result({"records": count, "deleted": False}, text, Exit.NO)
    gone = forget_entity(database, args.entity, forget_counted)
    text = ", ".join(f"{count} of {name}" for name, count in gone.rows.items()) + " deleted"
    if database.kind == "sqlite" and not gone.wiped:
        text += "; the log still holds them, because somebody reads it: run this again"
    return Result({**gone.rows, "deleted": True, "wiped": gone.wiped}, text)


def _expire(args: argparse.Namespace, database: Database) -> Result:
    """Servers do it by themselves once a minute; here it is done where none runs."""
    if not args.source.endswith(".toml"):
        raise InputError("Nothing says for how long records are kept", got=args.source,
                         expected="a deployment file with keep_days or keep_mb")  # fmt: skip
    settings, total = read(args.source).records, 0
    keep = Keep(settings.keep_days, settings.keep_mb)
    while (count := expire(database, keep, int(time.time() * 1000))) > 0:
        total += count
        if total % (MANY * 20) == 0:
            progress(f"{total} records deleted")
    return Result({"records": total}, f"{total} records deleted")


def _chosen(args: argparse.Namespace, database: Database, newest_first: bool = False) -> Iterator[Record]:
    """The records that fit, by time."""
    start, end = (moment_ms(args.since) if args.since else 0), (moment_ms(args.until) if args.until else EVER_MS)
    found = between(database, start, end, args.deployment, newest_first=newest_first, entity=args.entity, shadows=args.shadows)
    for record in found:
        receipt = record.receipt
        fits = args.model in (None, receipt.get("model")) and args.reason in (None, receipt.get("reason"))
        if fits and (record.flags or not args.flagged) and (not args.labelled or labels_of(database, [record.id])):
            yield record


def _row(record: Record, labels: dict[tuple[str, int], Label]) -> list[object]:
    receipt, outputs = record.receipt, ", ".join(f"{name}={str(value)[:24]}" for name, value in record.outputs.items())
    said = [f"{label.row}: {dict(label.values)}" for (id, _), label in sorted(labels.items()) if id == record.id]  # noqa: A001
    ms = f"{receipt.get('time_ms', 0.0):.1f}"
    return [shown_ms(record.server_ms), record.id, record.entity, receipt.get("model"), receipt.get("reason"), ms, outputs[:80],
            "; ".join(said)[:60]]  # fmt: skip


def _data(record: Record, labels: list[Label]) -> dict[str, object]:
    return {**record.to_dict(), "labels": [label.to_dict() for label in labels if label.record == record.id]}
