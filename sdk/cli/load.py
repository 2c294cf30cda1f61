"""`portside load`: how many requests per second a server answers in time, by a generator that does not wait for answers."""

from __future__ import annotations

import argparse
import contextlib
from math import ceil
from pathlib import Path

from ...cloud.load.knee import Aim
from ...cloud.load.page import page
from ...cloud.load.report import Report
from ...cloud.load.running import Plan, load, sequence, served
from ...cloud.load.target import bodies_from, target
from ..core.errors import InputError
from .console import Exit, Result, progress, table
from .places import page_file

EXAMPLE = """
  portside load http://127.0.0.1:3000 --rate 100,200,400 --seconds 10
  portside load http://127.0.0.1:3000 --find-knee --deadline 50 --slo 99.9% --html load.html
  portside load deployment.toml --find-knee          serves the file itself for as long as it lasts
  portside load http://127.0.0.1:3000/predict --rate 500 --body row.json --header "Authorization: Bearer ..."

  Requests start when they are due, whatever became of those before, and latency counts from then: a stall is charged for every
  request that it held up. Exit code 1: with --slo given, a rate missed it (with --find-knee: no rate held it); 4: the requests were
  too few to tell, or the generator itself was late.
"""
DEFAULT_SLO = 0.99


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, how much, what is asked."""
    parser.add_argument("target", metavar="URL|DEPLOYMENT.toml", help="a server, or a deployment to serve meanwhile")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--rate", type=rates, metavar="N,N,...", help="requests per second; one step each (default: --find-knee)")
    how.add_argument("--find-knee", action="store_true", help="look for the highest rate that keeps the SLO")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each step (default: 10)")
    parser.add_argument("--minutes", type=float, default=5.0, help="no step begins after this time (default: 5)")
    parser.add_argument("--deadline", type=float, default=200.0, metavar="MS", help="answers after it are late (default: 200)")
    parser.add_argument(
        "--slo", type=share, metavar="SHARE", help="of requests that must be answered in time, 99%% or 0.99 (default: 99%%)"
    )
    parser.add_argument(
        "--body", type=Path, metavar="FILE", help="what to post; one per line in .jsonl (default: made from the server's description)"
    )
    parser.add_argument("--content-type", help="of the body (default: by the file's name)")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="one more header; may be repeated")
    parser.add_argument("--arrivals", choices=("poisson", "constant"), default="poisson")
    parser.add_argument("--connections", type=int, default=256, help="at most at once; requests beyond wait in line (default: 256)")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="a request without an answer is given up (default: 5)")
    parser.add_argument("--workers", type=int, default=1, help="server processes, where a deployment is served (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals (default: 0)")
    parser.add_argument("--html", type=page_file, metavar="FILE", help="write a page with plots")


def run(args: argparse.Namespace) -> Result:
    """Raises InputError, EngineError."""
    if not 1 <= args.connections <= 900 or args.timeout <= 0 or args.deadline <= 0:
        raise InputError(
            "The connections or a time cannot be used", field="connections", got=args.connections, expected="1 to 900, times above 0"
        )
    aim = Aim(args.slo or DEFAULT_SLO, args.deadline)
    plan = Plan(sequence(args.rate or ()), args.seconds, args.arrivals, args.seed, args.minutes,
                max(args.timeout, 2 * args.deadline / 1e3), args.connections)  # fmt: skip
    bodies = bodies_from(args.body, args.content_type) if args.body else []
    if args.rate and args.slo and (needed := aim.seconds(min(args.rate), args.seconds)) > args.seconds:
        progress(f"{args.seconds:g} s at {min(args.rate):g} requests/s are too few to tell whether {aim} holds: --seconds {ceil(needed)}")
    with contextlib.ExitStack() as stack:
        url = args.target
        if url.endswith(".toml"):
            progress(f"serving {url} ...")
            url = stack.enter_context(served(Path(url), args.workers))
        report = load(target(url, bodies, dict(map(header, args.header))), plan, aim, progress)
    if args.html:
        Path(args.html).write_text(page(report), encoding="utf-8")
        progress(f"written to {args.html}")
    return Result(report.to_dict(), text(report), code(report, args.slo is not None, searched=not args.rate))


def code(report: Report, asked: bool, searched: bool) -> Exit:
    """0 done; 1: asked whether the SLO holds, it does not; 4: that cannot be told."""
    found = report.found
    if found.verdict == "not enough data":
        return Exit.NOT_ENOUGH_DATA
    missed = found.knee is None if searched else found.verdict == "missed"
    if asked and missed:
        return Exit.NO
    verdicts = {report.aim.judge(step) for step in report.steps}
    unsure = not searched and not verdicts <= {"held", "missed"}
    return Exit.NOT_ENOUGH_DATA if unsure else Exit.DONE


def text(report: Report) -> str:
    """The verdict, the table, the machine."""
    head, rows = report.rows()
    return f"{report.found.sentence}\n\n{table(rows, head)}\n\n{report.url}, body {report.made}\n{report.where}"


def rates(word: str) -> list[float]:
    """Numbers above zero. Raises ArgumentTypeError."""
    try:
        found = [float(part) for part in word.split(",")]
    except ValueError:
        found = []
    if not found or min(found) <= 0:
        raise argparse.ArgumentTypeError(f"{word!r} is no list of rates such as 100,200,400")
    return found


def share(word: str) -> float:
    """A share between 0 and 1, both excluded. Raises ArgumentTypeError."""
    try:
        found = round(float(word.removesuffix("%")) / (100 if word.endswith("%") else 1), 12)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no share such as 99% or 0.99")
    return found


def header(line: str) -> tuple[str, str]:
    """Name and value. Raises InputError."""
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise InputError("This is no header", field="header", got=line[:60], expected="NAME:VALUE")
    return name.strip().lower(), value.strip()
