"""`portside audit`: what a derived model lost against its ancestor, per slice and row by row, and whether that is allowed."""

from __future__ import annotations

import argparse
from dataclasses import replace

from .again import command_line
from .audited import audited, exit_of, gate_arguments, row_arguments
from .console import Result, progress
from .models import open_model
from .places import page_file

EXAMPLE = """
  portside audit inspector-int8:1 inspector:3 --data held_out.csv --label defect --slice cell
  portside audit dist/inspector-onnx-cpu inspector:3 --data data.py:held_out --max-drop 0.005 --max-flips 0.01 --html audit.html

  With a limit, or expectations in the package, the exit code answers: 0 passed, 1 failed, 4 the rows cannot tell.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The two models, the rows, and the limits."""
    parser.add_argument("subject", metavar="SUBJECT", help="a package or artifact: a folder, or a name in the store")
    parser.add_argument("ancestor", metavar="ANCESTOR", help="what it must not be worse than; the same forms")
    row_arguments(parser, required=True)
    gate_arguments(parser)
    parser.add_argument("--html", metavar="FILE", type=page_file,
                        help="also write a page for people: gates, intervals, slices, flipped rows, lineage")  # fmt: skip
    parser.add_argument("--trust", action="store_true", help="allow Python from the packages (host stages) to run")


def run(args: argparse.Namespace) -> Result:
    """Answer every row with both, then compare."""
    found = audited(args, open_model(args.subject, args.trust), open_model(args.ancestor, args.trust))
    found = replace(found, command=command_line("audit", args, ("subject", "ancestor")))
    if args.html:
        progress(f"page: {found.to_html(args.html)}")
    return Result(found.to_dict(), str(found), exit_of(found))
