"""`portside verify`: does every target answer as the package does? One table for any number of packages and artifacts."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ...runtimes.report import SIDE_BY_SIDE, Report, side_by_side, write_page
from ...runtimes.verify import verify
from ..core.data import Data
from ..core.errors import InputError, PortsideError
from ..objects import load_module
from .console import Exit, Result, progress, table
from .models import Model, open_model
from .places import open_package_at, page_file
from .refusal import code_of
from .tables import arguments as data_arguments
from .tables import fitting, read

EXAMPLE = """
  portside verify inspector:3 --targets all                   a package, on every target that works here, side by side
  portside verify inspector:3 --html parity.html              the same as a page with plots
  portside verify dist/inspector-onnx-cpu                     a compiled artifact, on its own contract
  portside verify inspector:3 --data held_out.npz             and on held-out rows: flips and metrics
  portside verify --targets onnx-cpu examples/zoo             a folder whose zoo.py lists packages

  zoo.py holds PACKAGES, a dict of name -> function that returns (package, data or None).
"""
HEAD = ("package", *SIDE_BY_SIDE, "took s")
Job: TypeAlias = tuple[str, Callable[[], tuple[Model, Data | None]]]


@dataclass(frozen=True)
class Outcome:
    """One package or artifact: its report, or the error that stopped it, and the seconds it took."""

    name: str
    seconds: float
    report: Report | None = None
    error: PortsideError | None = None

    @property
    def code(self) -> Exit:
        """The exit code that this outcome alone would give."""
        if self.error is not None:
            return code_of(self.error)
        if self.report is None or not self.report.targets:  # nothing could be asked on this machine
            return Exit.FAULT
        verdict = self.report.verdict
        return {"passed": Exit.DONE, "failed": Exit.NO}.get(verdict, Exit.NOT_ENOUGH_DATA)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to verify, where, and on which rows beyond the contract."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a package, an artifact, a name in the store, or a folder with a zoo.py")
    parser.add_argument("--targets", default="all", help="names with commas between (default: all that work here)")
    parser.add_argument("--data", help="held-out rows: FILE.py:OBJECT, .npz or .csv")
    parser.add_argument("--package", help="the package that an artifact came from; with --data, to count flips on those rows")
    parser.add_argument("--html", metavar="FILE", type=page_file, help="also write a page for people: tables, plots, the worst examples")
    parser.add_argument("--quick", action="store_true", help="compare answers only; do not measure latency, cold start and memory")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="of a zoo, only this package; may be repeated")
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages) to run")
    data_arguments(parser)


def run(args: argparse.Namespace) -> Result:
    """Verify everything, whatever fails on the way; the exit code is that of the worst."""
    targets: Any = args.targets if args.targets == "all" else args.targets.split(",")
    data = read(args.data, args.label, args.slice) if args.data else None
    jobs = [job for path in args.paths for job in _jobs(path, data, args.trust, args.only)]
    outcomes: list[Outcome] = []
    for place, (name, make) in enumerate(jobs, 1):
        progress(f"[{place}/{len(jobs)}] {name} ...")
        outcomes.append(_outcome(name, make, targets, args))
    if args.html:
        progress(f"page: {write_page([outcome.report for outcome in outcomes if outcome.report is not None], args.html)}")
    return Result([_data(outcome) for outcome in outcomes], _text(outcomes), _worst(outcomes))


def _jobs(path: str, data: Data | None, trust: bool, only: list[str]) -> Iterator[Job]:
    zoo = Path(path) if path.endswith(".py") else Path(path) / "zoo.py"
    if not zoo.is_file():
        yield path, lambda: _with_data(open_model(path, trust), data)
        return
    packages: Any = getattr(load_module(zoo), "PACKAGES", None)
    if not isinstance(packages, dict):
        raise InputError(f"{zoo} lists no packages", expected="PACKAGES: dict of name -> function returning (package, data or None)")
    if unknown := sorted(set(only) - set(packages)):
        raise InputError(f"{zoo} has no such package", got=unknown[0], expected=", ".join(packages))
    yield from ((name, make) for name, make in packages.items() if not only or name in only)


def _with_data(model: Model, data: Data | None) -> tuple[Model, Data | None]:
    return model, fitting(data, model) if data is not None else None


def _outcome(name: str, make: Callable[[], tuple[Model, Data | None]], targets: Any, args: argparse.Namespace) -> Outcome:
    started = time.monotonic()
    try:
        model, data = make()
        package = open_package_at(args.package, args.trust) if args.package else None
        report = verify(model, data, targets, package=package, trust=args.trust, measured=not args.quick)
    except PortsideError as error:
        return Outcome(name, time.monotonic() - started, error=error)
    return Outcome(name, time.monotonic() - started, report)


def _data(outcome: Outcome) -> dict[str, Any]:
    held = outcome.report.to_dict() if outcome.report is not None else outcome.error.to_dict() if outcome.error else {}
    return {**held, "name": outcome.name, "seconds": round(outcome.seconds, 3), "code": int(outcome.code)}


def _worst(outcomes: list[Outcome]) -> Exit:
    order = (Exit.FAULT, Exit.USAGE, Exit.NO, Exit.NOT_ENOUGH_DATA, Exit.DONE)
    return min((outcome.code for outcome in outcomes), key=order.index)


def _text(outcomes: list[Outcome]) -> str:
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    details = [f"{outcome.name}: {line}" for outcome in outcomes for line in _details(outcome)]
    passed = sum(outcome.code == Exit.DONE for outcome in outcomes)
    return "\n".join([table(rows, HEAD), *(["", *details] if details else []), "", f"{passed} of {len(outcomes)} passed"])


def _rows(outcome: Outcome) -> Iterator[list[object]]:
    if outcome.report is None:
        yield [outcome.name, *[""] * (len(SIDE_BY_SIDE) - 1), "error", f"{outcome.seconds:.1f}"]
        return
    for place, target in enumerate(outcome.report.targets):  # the time is that of all targets together, so it stands once
        yield [outcome.name, *side_by_side(target), "" if place else f"{outcome.seconds:.1f}"]
    for name in outcome.report.absent:
        yield [outcome.name, name, *[""] * (len(SIDE_BY_SIDE) - 2), "not asked", ""]


def _details(outcome: Outcome) -> Iterator[str]:
    """A line for everything that is not simply passed."""
    if outcome.error is not None:
        yield str(outcome.error)
    for target in outcome.report.targets if outcome.report is not None else ():
        if target.refused:
            yield f"{target.target} refuses it: {target.refused}"
        yield from (f"{target.target}, {line}" for line in target.faults)
        yield from (f"{target.target}: {note}" for note in target.notes)
    for target, why in (outcome.report.absent if outcome.report is not None else {}).items():
        yield f"{target} was not asked: {why}"
