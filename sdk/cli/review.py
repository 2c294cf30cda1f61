"""`portside review`: what waits for a person, and what people decided, without a browser; datasets; Label Studio."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from statistics import median
from typing import Any

from ...cloud.deployment.review import Review
from ...cloud.records.database import Database
from ...cloud.records.finding import open_records
from ...cloud.review import deciding, exchange, overview, queue
from ...cloud.review.item import ReviewStatus
from ...cloud.review.showing import hidden, unled
from .console import Exit, Result, table
from .moments import shown_ms
from .review_files import RUNS as RUNS_OF_FILES
from .review_files import now, of_files, settings

EXAMPLE = """
  portside review ls deployment.toml                          what waits, and how much was decided
  portside review next deployment.toml --as ana               take the most pressing item for a minute
  portside review decide deployment.toml ID defect --as ana   answer it; prints the decision when it is durable
  portside review undo deployment.toml ID --as ana
  portside review dataset deployment.toml --out datasets/cells --split time
  portside review export deployment.toml --out tasks/         tasks.json and label_config.xml for Label Studio
  portside review import deployment.toml project-1.json       its annotations, as decisions
"""




def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which queue."""
    parts = parser.add_subparsers(dest="action", required=True)
    made = {name: parts.add_parser(name, help=what) for name, what in ACTIONS.items()}
    for part in made.values():
        part.add_argument("source", metavar="DEPLOYMENT.toml|FILE.sqlite|URL")
        part.add_argument("--deployment", action="append", metavar="NAME", help="only of this one; may be given several times")
    for name in ("next", "decide", "undo"):
        made[name].add_argument("--as", dest="reviewer", required=True, metavar="NAME", help="who reviews; stands beside the answer")
    made["next"].add_argument("--seconds", type=int, default=60, help="how long nobody else gets it (default: 60)")
    for name in ("decide", "undo"):
        made[name].add_argument("id", metavar="ID")
    made["decide"].add_argument("value", help="the name of a candidate, a number, or JSON")
    made["decide"].add_argument("--note", default="", help="kept with the label")
    for name in ("ls", "export"):
        made[name].add_argument("--state", choices=overview.STATES, default="pending")
        made[name].add_argument("--limit", type=int, default=20 if name == "ls" else 10_000, help="at most so many (default: %(default)s)")
    of_files(made)


def run(args: argparse.Namespace) -> Result:
    """Do it. What is reported as decided is durable. Raises InputError, FormatError, StoreError."""
    with open_records(args.source) as database:
        queue.prepare(database)
        return RUNS[args.action](database, args)


def _ls(database: Database, args: argparse.Namespace) -> Result:
    now_ms, took = now(), overview.times_ms(database)
    counts = overview.counts(database, now_ms, args.deployment)
    found = overview.listed(database, now_ms, deployments=args.deployment, state=args.state, limit=args.limit)
    said = ", ".join(f"{getattr(counts, state)} {state}" for state in overview.STATES)
    pace = f"; median {median(took) / 1000:.1f} s of the last {len(took)}" if took else ""
    head = ["id", "deployment", "priority", "reason", "asked", "deadline", "by"]
    data = {"counts": vars(counts), "median_ms": median(took) if took else None,
            "items": [{**status.to_dict(), **more} for status, more in found]}  # fmt: skip
    shown = [table([_line(status, more) for status, more in found], head=head)] if found else []
    return Result(data, "\n".join([said + pace, *shown]))


def _line(status: ReviewStatus, more: Mapping[str, Any]) -> list[object]:
    deadline = shown_ms(status.deadline_ms) if status.deadline_ms else ""
    return [status.id, status.deployment, f"{more['priority']:.3f}", more["reason"], shown_ms(status.created_ms), deadline,
            status.by or more["leased_by"] or ""]  # fmt: skip


def _next(database: Database, args: argparse.Namespace) -> Result:
    item = queue.lease(database, args.reviewer, now(), deployment=args.deployment, ms=args.seconds * 1000)
    if item is None:
        return Result(None, "nothing waits", Exit.NO)
    blind = hidden(item.reason, settings(args.source).get(item.deployment, Review()))
    known = [one.to_dict() for one in item.candidates]
    candidates = unled(known) if blind else known
    told = {name: f"{len(value)} bytes" if isinstance(value, bytes) else str(value)[:200] for name, value in item.payload.items()}
    text = "\n".join([f"{item.id}: what is {item.output}?", table([[*pair] for pair in told.items()]),
                      f"answers: {', '.join(map(_answer, candidates)) or 'yours'}"])  # fmt: skip
    unsaid: dict[str, Any] = {"reason": "", "model": None} if blind else {}
    return Result({**vars(item), "payload": told, "candidates": candidates, **unsaid}, text)


def _answer(candidate: Mapping[str, Any]) -> str:
    probability = candidate["probability"]
    return candidate["shown"] + (f" ({probability:.0%})" if probability is not None else "")


def _decide(database: Database, args: argparse.Namespace) -> Result:
    row = exchange.row_of(database, args.id)
    values = {row["output"]: _read(exchange.value_of(database, row, args.value))}
    made = deciding.decide(database, args.id, args.reviewer, values, now(), note=args.note)
    late = "; the deadline had passed, so it is a label only" if made.late else ""
    return Result(made.to_dict(), f"{args.id}: {row['output']} = {args.value} by {made.reviewer}{late}")


def _undo(database: Database, args: argparse.Namespace) -> Result:
    made = deciding.undo(database, args.id, args.reviewer, now())
    return Result(made.to_dict(), f"{args.id}: taken back; it is yours for a minute")


def _read(value: Any) -> Any:
    """A typed answer as JSON, else as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


ACTIONS = {"ls": "what waits, and how much was decided", "next": "take the most pressing item", "decide": "answer an item",
           "undo": "take an answer back", "export": "tasks for Label Studio", "dataset": "labelled rows as a versioned dataset",
           "import": "annotations of Label Studio, as decisions"}  # fmt: skip
RUNS = {"ls": _ls, "next": _next, "decide": _decide, "undo": _undo, **RUNS_OF_FILES}
