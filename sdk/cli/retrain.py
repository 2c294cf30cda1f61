"""`portside retrain`: train a candidate where something asks for it, take up a run that was left, ask whether older data would do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...cloud.deployment.file import read
from ...cloud.releasing.gates import HEAD
from ...cloud.retraining.freshness import Freshness
from ...cloud.retraining.freshness_plot import plot
from ...cloud.retraining.retraining import Outcome, Retraining
from ...cloud.retraining.run import Run
from ...cloud.retraining.triggers import Due
from ..core.errors import InputError
from .author import author
from .console import Exit, Result, fields, progress, short, table
from .moments import shown_ms

EXAMPLE = """
  portside retrain deployment.toml                train where [retrain] says so; from a timer, every few minutes
  portside retrain deployment.toml --check        what asks for it, and what it waits for; trains nothing
  portside retrain deployment.toml --now          because you say so; labels and rollouts are waited for all the same
  portside retrain deployment.toml --runs         what was trained before, and what became of it
  portside retrain deployment.toml --give-up      end a run that was left in the middle, instead of taking it up
  portside retrain deployment.toml --freshness --windows 4 --plot freshness.svg
                                                  the same command on older and older rows, and how each does on today's

  Exit codes: 0 a candidate passed its gates, or nothing was due; 1 it did not pass; 3 the command failed; 4 too few rows or labels to tell.
  --check ends with 0 where training is due, 1 where it is not, 4 where too few rows are labelled.
"""
CHOICES = ("check", "now", "freshness", "runs", "give_up")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which deployment, and what to do."""
    parser.add_argument("deployment", type=Path, metavar="DEPLOYMENT.toml", help="with [retrain]")
    parser.add_argument("--check", action="store_true", help="say what asks for it, and train nothing")
    parser.add_argument("--now", action="store_true", help="train whatever asks")
    parser.add_argument("--as", dest="by", metavar="NAME", help="with --now: who says so (default: your account here)")
    parser.add_argument("--runs", action="store_true", help="list runs, the newest first")
    parser.add_argument("--give-up", action="store_true", help="end an unfinished run as failed")
    parser.add_argument("--freshness", action="store_true", help="train on older windows, test on today")
    parser.add_argument("--windows", type=int, default=4, help="with --freshness: how many (default: %(default)s)")
    parser.add_argument("--today", type=float, default=0.2, metavar="SHARE",
                        help="with --freshness: the newest rows, which test (default: %(default)s)")  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="with --freshness: draw it")


def run(args: argparse.Namespace) -> Result:
    """Do it. Raises PortsideError."""
    chosen = [name for name in CHOICES if getattr(args, name)]
    if len(chosen) > 1:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise InputError("These do not go together", got=given, expected="one of them")
    if args.windows < 2 or not 0 < args.today < 1:
        raise InputError("The experiment needs two windows and rows to test on", got=f"--windows {args.windows} --today {args.today}",
                         expected="2 windows or more, a share between 0 and 1")  # fmt: skip
    held = Retraining(read(args.deployment), progress)
    if args.check:
        return _check(held.due(), held.runs.unfinished())
    if args.runs:
        return _runs(held.runs.all())
    if args.give_up:
        ended = held.give_up()
        return Result(ended.to_dict(), f"run {ended.id[:8]} is given up; the next begins anew")
    if args.freshness:
        return _freshness(held.freshness(args.windows, args.today), args.plot)
    return _trained(held.retrain(author(args.by, "--as") if args.now else None))


def _check(found: Due, left: Run | None) -> Result:
    unfinished = f"\na run was left in the middle ({left.stage}): portside retrain takes it up" if left is not None else ""
    data = {**found.to_dict(), "unfinished": None if left is None else left.to_dict()}
    code = {"due": Exit.DONE, "not enough data": Exit.NOT_ENOUGH_DATA}.get(found.verdict, Exit.NO)
    return Result(data, f"{found.verdict}: {found.why}{_asking(found)}{unfinished}", code)


def _asking(found: Due) -> str:
    return "" if found.verdict == "due" else "".join(f"\nasks: {trigger.why}" for trigger in found.triggers)


def _trained(found: Outcome) -> Result:
    data: dict[str, Any] = {
        "due": None if found.due is None else found.due.to_dict(), "run": None if found.run is None else found.run.to_dict(),
        "gates": None if found.gates is None else found.gates.to_dict(), "resumed": found.resumed,
    }  # fmt: skip
    if found.run is None:
        assert found.due is not None  # noqa: S101  without a run there is an answer
        code = Exit.NOT_ENOUGH_DATA if found.due.verdict == "not enough data" else Exit.DONE
        return Result(data, f"{found.due.verdict}: {found.due.why}{_asking(found.due)}", code)
    made, gates = found.run, found.gates
    rows = ", ".join(f"{count} {name}" for name, count in made.rows.items())
    head = fields({"because": "; ".join(trigger.why for trigger in made.triggers), "dataset": f"{short(made.dataset)}: {rows}",
                   "candidate": f"{made.ref} {short(made.candidate)}", "follows": short(made.champion)})  # fmt: skip
    told = table(gates.rows(), HEAD) if gates is not None else ""
    code = {"passed": Exit.DONE, "failed": Exit.NO}.get(made.verdict, Exit.NOT_ENOUGH_DATA)
    became = made.why or (f"it waits: {found.due.why}" if found.due is not None else "")
    return Result(data, f"{head}\n\n{told}\n\n{became}", code)


def _runs(found: list[Run]) -> Result:
    rows = [[run.id[:13], shown_ms(run.began_ms), run.stage, run.verdict, run.ref, run.why or "; ".join(held.why for held in run.triggers)]
            for run in found]  # fmt: skip
    text = table(rows, ["run", "began (UTC)", "stage", "gates", "candidate", "what became of it"]) if rows else "nothing was trained yet"
    return Result([run.to_dict() for run in found], text)


def _freshness(found: Freshness, out: Path | None) -> Result:
    if out is not None:
        out.write_text(plot(found), encoding="utf-8")
    rows = [[f"{point.age_days:.3g}", shown_ms(point.start_ms), shown_ms(point.end_ms), point.rows, str(point.quality),
             str(point.loss) if point.loss else ""] for point in found.points]  # fmt: skip
    head = ["days old", "from (UTC)", "to (UTC)", "rows", f"{found.metric} on today", "lost to the newest"]
    text = f"{table(rows, head)}\n\nchampion: {found.champion} on the same {found.today} rows; {found.verdict}"
    return Result(found.to_dict(), text)
