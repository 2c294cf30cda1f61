"""`portside evaluate`: how good the answers are, with intervals, per slice, and against another package."""

from __future__ import annotations

import argparse

from ...runtimes.evaluate import Evaluation, evaluate
from ...runtimes.quality import LOW_IS_GOOD
from ..core.errors import InputError
from .console import Exit, Result, progress
from .models import open_model
from .places import page_file
from .tables import arguments as data_arguments
from .tables import fitting, read

EXAMPLE = """
  portside evaluate inspector:4 held_out.csv --label defect --slice cell
  portside evaluate inspector:4 data.py:held_out --against inspector:3 --max-drop 0.005

  With --max-drop the exit code answers: 0 the loss is at most that, 1 it is more, 4 the rows cannot tell (95% interval).
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, labelled data, and what to compare it with."""
    parser.add_argument("model", metavar="PACKAGE|ARTIFACT", help="a folder, or a name in the store")
    parser.add_argument("data", metavar="DATA", help="labelled rows: FILE.py:OBJECT, .npz or .csv")
    parser.add_argument("--against", metavar="PACKAGE|ARTIFACT", help="answers to the same rows, compared row by row")
    parser.add_argument("--max-drop", type=float, help="with --against: how much of the first metric may be lost")
    parser.add_argument("--html", metavar="FILE", type=page_file, help="also write a page for people")
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages) to run")
    data_arguments(parser)


def run(args: argparse.Namespace) -> Result:
    """Answer every row, then measure."""
    if args.max_drop is not None and not args.against:
        raise InputError("--max-drop needs something to drop from", fix="Add --against PACKAGE.")
    data = read(args.data, args.label, args.slice)
    progress(f"answering {len(data)} rows ...")
    other = open_model(args.against, args.trust) if args.against else None
    model = open_model(args.model, args.trust)
    found = evaluate(model, fitting(data, model), other, trust=args.trust)
    if args.html:
        progress(f"page: {found.to_html(args.html)}")
    return Result(found.to_dict(), str(found), Exit.DONE if args.max_drop is None else gate(found, args.max_drop))


def gate(found: Evaluation, max_drop: float) -> Exit:
    """Whether the primary metric lost at most `max_drop`: sure yes, sure no, or the interval covers both."""
    difference = found.difference[found.quality.primary]
    falls = found.quality.primary not in LOW_IS_GOOD
    least, most = (-difference.high, -difference.low) if falls else (difference.low, difference.high)
    if most <= max_drop:
        return Exit.DONE
    return Exit.NO if least > max_drop else Exit.NOT_ENOUGH_DATA
