"""What `portside audit` and `portside diff` share: gates and rows as arguments, and an audit's exit code."""

from __future__ import annotations

import argparse

from ...runtimes.audit import Audit
from ...runtimes.audit import audit as run_audit
from ..core.budget import Budget
from .console import Exit, progress
from .models import Model
from .tables import arguments as data_arguments
from .tables import rows_of


def gate_arguments(parser: argparse.ArgumentParser) -> None:
    """The limits."""
    parser.add_argument("--max-drop", type=float, help="how much of the first metric may be lost, e.g. 0.005")
    parser.add_argument("--max-slice-drop", type=float, help="the same in the worst slice that has enough rows")
    parser.add_argument("--max-flips", type=float, help="share of decisions that may be others than the ancestor's")


def row_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """The rows, and which of their columns are labels and slices."""
    parser.add_argument("--data", required=required, help="held-out rows: FILE.py:OBJECT, .npz or .csv")
    data_arguments(parser)


def budget_of(args: argparse.Namespace) -> Budget:
    """The gates that were given. Raises InputError for a limit that is none."""
    return Budget(max_drop=args.max_drop, max_slice_drop=args.max_slice_drop, max_flips=args.max_flips)


def audited(args: argparse.Namespace, subject: Model, ancestor: Model) -> Audit:
    """The audit of two opened models on `--data`."""
    data = rows_of(args.data, args, subject)
    progress(f"auditing {subject.name} on {len(data)} rows ...")
    return run_audit(subject, ancestor, data, gates=budget_of(args), trust=args.trust)


def exit_of(found: Audit) -> Exit:
    """0 where nothing was asked or all passed, 1 where something failed, 4 where the rows cannot tell."""
    if not found.asked or found:
        return Exit.DONE
    return Exit.NO if found.verdict == "failed" else Exit.NOT_ENOUGH_DATA
