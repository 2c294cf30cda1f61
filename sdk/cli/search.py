"""`portside search`: the package that fits a budget on one target, measured there; time-boxed, resumable."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

from ...compress.front import Front
from ...compress.recipe import Recipe
from ...compress.search import search
from ...compress.structuring import Asked
from ..core.budget import Budget
from .again import command_line
from .audited import gate_arguments
from .console import Exit, Result, progress
from .places import open_package_at, page_file
from .tables import arguments as data_arguments
from .tables import data_words, rows_of

EXAMPLE = """
  portside search inspector:4 --target onnx-cpu --size-mb 2 --p95-ms 5 --max-drop 0.005 \\
      --data test.npz --calibration train.npz --minutes 10 --out search/ --html front.html

  What stands in --out is kept: run the same line again after Ctrl-C, a crash or a reboot, and it goes on; no trial is made twice.
  portside search garments --structures auto --train train.npz --data test.npz --max-drop 0.01 --size-mb 0.3 --minutes 20 --trust
  portside search garments --structures pruned.toml --structures factored.toml --train train.npz --data test.npz --max-drop 0.01 --trust

  With --structures the network itself is changed too: by recipes, or by what the package can take. They are trained short first, and the
  best of them longer.

  Without a limit it shows the front: what latency, size and loss can be had together. Ctrl-C ends with what there is.
  Exit codes: 0 something is within the budget, 1 nothing is (the nearest miss and the limit that binds are named),
  4 the rows are too few to tell, 130 it was interrupted.
"""
COSTS = {
    "size_mb": "10^6 bytes that have to be shipped", "p95_ms": "latency of one row, 95th percentile", "p99_ms": "the same, 99th percentile",
    "memory_mb": "peak memory of the runtime, 10^6 bytes", "cost_per_1k": "of a thousand predictions; needs --price-per-hour",
}  # fmt: skip
OUTCOMES = {"within the budget": Exit.DONE, "nothing within the budget": Exit.NO, "not enough data": Exit.NOT_ENOUGH_DATA}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The package, the target, the limits, the rows and the time."""
    parser.add_argument("package", metavar="PACKAGE", help="a folder, or a name in the store")
    parser.add_argument("--target", default="onnx-cpu", help="where to measure; portside doctor lists them (default: onnx-cpu)")
    for name, line in COSTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="LIMIT", help=line)
    gate_arguments(parser)
    parser.add_argument("--price-per-hour", type=float, metavar="PRICE", help="of the machine; adds a cost per thousand predictions")
    parser.add_argument("--minutes", type=float, default=10, help="time for the search (default: 10)")
    parser.add_argument("--data", help="rows to judge on: FILE.py:OBJECT, .npz or .csv (default: the package's evidence set)")
    parser.add_argument("--calibration", metavar="DATA", help="rows for calibration, others than --data")
    parser.add_argument("--structures", action="append", default=[], metavar="RECIPE",
                        help="also change the network: auto, or a recipe's .toml or .json file; may be repeated")  # fmt: skip
    parser.add_argument("--train", metavar="DATA", help="rows that structures learn from, others than --data (default: --calibration)")
    parser.add_argument("--out", metavar="FOLDER", help="keep finished trials here, and go on from those that are")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--html", metavar="FILE", type=page_file,
                        help="also write a page for people: front, trials, ladder, audit of the best")  # fmt: skip
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages, training) to run")
    data_arguments(parser)


def run(args: argparse.Namespace) -> Result:
    """Search, keep the best in the store, and say what was found."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_resume(args)) from None


def _run(args: argparse.Namespace) -> Result:
    package = open_package_at(args.package, args.trust)
    data, calibration, train = (None if word is None else rows_of(word, args, package, judged=word is args.data)
                                for word in (args.data, args.calibration, args.train))  # fmt: skip
    found = search(package, args.target, budget_of(args), data, args.minutes, calibration=calibration,
                   structures=structures_of(args.structures), train=train, prices=args.price_per_hour, seed=args.seed, resume=args.out,
                   trust=args.trust, progress=_Told())  # fmt: skip
    found = replace(found, command=command_line("search", args, ("package",)))
    stopped = found.ended == "interrupted"
    if stopped and found.best_trial is not None:
        progress("interrupted: making the package of the best trial; Ctrl-C again leaves it")
    best = found.best
    if args.html:
        progress(f"page: {found.report(args.html)}")
    data_out = {**found.to_dict(), "package": None if best is None else best.digest, "path": None if best is None else str(best.path)}
    rows = [] if args.data is None else data_words(args.data, args)
    text = _text(found, rows) + (f"\n\ninterrupted: {_resume(args)}" if stopped else "")
    return Result(data_out, text, Exit.INTERRUPTED if stopped else OUTCOMES[found.outcome])


def budget_of(args: argparse.Namespace) -> Budget:
    """The limits that were given. Raises InputError for one that is none."""
    return Budget(**{name: getattr(args, name) for name in (*COSTS, "max_drop", "max_slice_drop", "max_flips")})


def structures_of(words: Sequence[str]) -> Asked | None:
    """What structures are tried: "auto", recipes, or None. Raises InputError for a file that is no recipe."""
    if not words:
        return None
    return "auto" if list(words) == ["auto"] else [Recipe.from_file(word) for word in words]


def _resume(args: argparse.Namespace) -> str:
    """What is left of a search that was interrupted, and how to go on."""
    if args.out is None:
        return "no trial was kept. With --out FOLDER finished trials are, and the same command goes on from them"
    return f"finished trials are kept in {args.out}. Run the same command again to go on: none of them is made twice"


def _text(found: Front, rows: Sequence[str]) -> str:
    best = found.best
    if best is None:
        return f"{found}\n\nnothing was written"
    same = found.best_trial is not None and found.best_trial.settings.as_it_was
    gates = "; its gates travel with it, and every compile asks them again" if found.budget.gates.limits else ""
    place = f"{best.name}  {best.digest}\nat {best.path} ({'the package as it was' if same else f'kept in the store{gates}'})"
    return f"{found}\n\n{place}\nnext: portside compile {shlex.join([str(best.path), '--target', found.target, *rows])}"


class _Told:
    """Progress on stderr: every trial, and of long work inside one a line now and then."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, done: int, of: int, what: str) -> None:
        """One step."""
        head = what.split(" of ")[0]
        if what.startswith("trial ") or head != self.last:
            print(what if what.startswith("trial ") else f"  {what} ...", file=sys.stderr, flush=True)
        self.last = head
