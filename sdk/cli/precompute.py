"""`portside precompute`: the champion's answers to known rows, as a file that a deployment's chain can answer from."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...cloud.answering.precomputing import Computed, precompute
from ...cloud.deployment.file import read as read_deployment
from ...cloud.deployment.resolving import resolve
from ...cloud.deployment.table_files import SUFFIXES, write_columns
from ..core.errors import InputError
from .console import Result, fields, progress
from .tables import fitting, read

EXAMPLE = """
  portside precompute deployment.toml customers.csv -o answers.parquet
  portside precompute deployment.toml customers.csv -o answers.jsonl --entity customer_id

  Then, in the deployment file:

  [[failover.chain]]
  precomputed = { file = "answers.parquet", by = "content" }
"""
EVERY = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    """The deployment, the rows, the file."""
    parser.add_argument("deployment", metavar="DEPLOYMENT.toml", help="its champion is asked")
    parser.add_argument("data", metavar="DATA", help="rows: FILE.py:OBJECT, .npz or .csv")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=f"what to write: {', '.join(SUFFIXES)}")
    parser.add_argument("--entity", metavar="COLUMN", help="a column that names whom a row is about: answers are found by it")
    parser.add_argument("--label", default="label", help="a column to leave out (default: label)")


def run(args: argparse.Namespace) -> Result:
    """Each row is one request; equal rows are answered once."""
    if args.out.suffix not in SUFFIXES:
        raise InputError("Precomputed answers are written to another kind of file", got=args.out.name, expected=", ".join(SUFFIXES))
    resolved = resolve(read_deployment(args.deployment))
    data = read(args.data, args.label, [args.entity] if args.entity else [])
    rows = fitting(data, resolved.champion.artifact, args.data)
    progress(f"answering {len(data)} rows ...")
    entities = [str(value) for value in data.slices[args.entity]] if args.entity else None
    done = precompute(resolved, rows.inputs, entities, lambda row: None if row % EVERY else progress(f"{row} rows"))
    write_columns(args.out, "entity" if entities else "key", done.columns)
    return _result(args.out, done, len(data))


def _result(out: Path, done: Computed, rows: int) -> Result:
    kept = len(done.columns.keys)
    data = {"file": str(out), "answers": kept, "rows": rows, "same": done.same, "flawed": done.flawed, "size_bytes": out.stat().st_size}
    return Result(data, fields(data))
