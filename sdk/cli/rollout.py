"""`portside rollout`: begin a rollout behind its gates, see how it stands and why, say yes, go back, read its log."""

from __future__ import annotations

import argparse
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ...cloud.deployment.file import Deployment, read
from ...cloud.deployment.sections import Model
from ...cloud.records.database import Database, reason
from ...cloud.records.finding import open_records
from ...cloud.releasing.checking import check
from ...cloud.releasing.gates import ReleaseGates
from ...cloud.reloading import reload
from ...cloud.rollouts import control
from ...cloud.rollouts.known import section_of
from ...cloud.rollouts.showing import Seen, line, seen
from ...cloud.rollouts.storing import Held, every
from ..core.errors import InputError, PortsideError, StoreError
from .author import author
from .console import Exit, Result, progress
from .rollout_text import data_of, shown_gates, shown_log, shown_status

EXAMPLE = """
  portside rollout start deployment.toml               gates, then the running server takes the challenger up, then it begins
  portside rollout status deployment.toml              where it is, every measure against its limit; exit code 1: it went back
  portside rollout status deployment.toml --wait 3600  until it has ended, asks or needs somebody; exit code 4: none of that yet
  portside rollout explain deployment.toml             why it stands there, in a paragraph with figures
  portside rollout approve deployment.toml             say yes to what it asks for
  portside rollout rollback deployment.toml --why "complaints from line 3"     everyone is given the champion, at once
  portside rollout log deployment.toml                 what was decided when, by whom, on what figures; checks that nobody changed it
"""
WAIT_S, POLL_S = 600.0, 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with the rollout of which deployment."""
    parts = parser.add_subparsers(dest="action", required=True)
    start = parts.add_parser("start", help="gates, reload, begin; exit code 1: a gate failed, 4: a gate has not enough data")
    status = parts.add_parser("status", help="where it is; exit code 1: it went back or needs somebody, 4: there is none")
    why = parts.add_parser("explain", help="why it stands where it does; exit code 4: there is none")
    yes = parts.add_parser("approve", help="say yes to what it asks for")
    back = parts.add_parser("rollback", help="give everyone the champion, at once")
    log = parts.add_parser("log", help="what was decided; exit code 1: the log is not as it was written, 4: there is none")
    for part in (start, status, why, yes, back, log):
        part.add_argument("deployment", type=Path, metavar="DEPLOYMENT.toml")
    for part in (start, yes, back):
        part.add_argument("--by", metavar="NAME", help="who says so (default: your account here)")
        part.add_argument("--why", default="", metavar="TEXT", help="for the log")
    for part in (status, why, log):
        part.add_argument("--id", default="", metavar="ROLLOUT", help="an earlier one (default: the newest)")
    status.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="until it has ended, or a person is asked or needed")
    start.add_argument("--without-gates", action="store_true", help="ask no gate; the log says so")
    start.add_argument("--no-reload", action="store_true", help="the server serves the file already, or on another machine")
    start.add_argument("--wait", type=float, default=WAIT_S, metavar="SECONDS", help="for the server to take it up (600)")


def run(args: argparse.Namespace) -> Result:
    """Do it. Raises FormatError, InputError, StoreError; what is reported is durable."""
    deployment = read(args.deployment)
    return {"start": _start, "status": _status, "explain": _explain, "approve": _approve, "rollback": _back, "log": _log}[args.action](
        deployment, args)  # fmt: skip


def _start(deployment: Deployment, args: argparse.Namespace) -> Result:
    challengers = section_of(deployment).challengers
    _check_free(deployment)
    gates = {} if args.without_gates else {model.package: _checked(deployment, model) for model in challengers}
    passed = all(gates.values())
    if passed and not args.no_reload:
        _reload(args)
    why = args.why or ("Begun without gates." if args.without_gates else "")
    held = control.start(deployment, _by(args), gates or None, why)
    data = {**line(held), "gates": {name: found.to_dict() for name, found in gates.items()}}
    undecided = not passed and all(found.verdict != "failed" for found in gates.values())
    code = Exit.DONE if passed else Exit.NOT_ENOUGH_DATA if undecided else Exit.NO
    return Result(data, "\n\n".join([*(shown_gates(name, found) for name, found in gates.items()), _now(deployment, held)]), code)


def _check_free(deployment: Deployment) -> None:
    """Raise InputError where a rollout goes on: before gates are asked and a server is reloaded for nothing."""
    where = deployment.records.place(deployment.folder)
    if isinstance(where, Path) and not where.is_file():
        return
    with _opened(deployment) as database:
        held = next(iter(every(database, deployment.name)), None)
    if held is not None and not held.closed:
        raise InputError("A rollout of this deployment goes on", field="deployment", got=f"number {held.number}, {held.place}",
                         fix="Wait for it, or end it: portside rollout rollback.")  # fmt: skip


def _checked(deployment: Deployment, model: Model) -> ReleaseGates:
    progress(f"asking the gates of {model.package} ...")
    return check(deployment, model)


def _reload(args: argparse.Namespace) -> None:
    """Let the server take the challenger up first. Raises InputError where a worker cannot."""
    progress("the server takes it up ...")
    done = reload(args.deployment, args.wait)
    if not done.served:
        said = "; ".join(f"{state.pid}: {state.why or state.state}" for state in done.failed or done.workers)
        raise InputError("The server did not take the challenger up, so nothing was begun", field="deployment", got=said,
                         fix="portside reload says more. Where the server runs elsewhere, reload there and give --no-reload.")  # fmt: skip


def _status(deployment: Deployment, args: argparse.Namespace) -> Result:
    with _opened(deployment) as database:
        found = _settled(database, deployment, args)
        others = [line(held) for held in every(database, deployment.name)]
    if found is None:
        return _none(deployment, args)
    back = found.held.state.phase == "rolled back" or found.needs
    code = Exit.NO if back else Exit.NOT_ENOUGH_DATA if args.wait and _moves(found) else Exit.DONE
    rest = [one for one in others if one["id"] != found.held.id]
    return Result({**data_of(found, _ms()), "others": rest}, shown_status(found, rest, _ms()), code)


def _settled(database: Database, deployment: Deployment, args: argparse.Namespace) -> Seen | None:
    """The rollout as it stands when nothing moves it any more, or when the wait is over."""
    ends = time.monotonic() + args.wait
    while (found := seen(database, deployment.name, args.id)) is not None and _moves(found) and time.monotonic() < ends:
        time.sleep(min(POLL_S, args.wait))
    return found


def _moves(found: Seen) -> bool:
    """It goes on by itself."""
    return not (found.held.closed or found.held.state.asks or found.needs)


def _explain(deployment: Deployment, args: argparse.Namespace) -> Result:
    with _opened(deployment) as database:
        found = seen(database, deployment.name, args.id)
    if found is None:
        return _none(deployment, args)
    return Result({**line(found.held), "why": found.why(_ms())}, found.why(_ms()))


def _approve(deployment: Deployment, args: argparse.Namespace) -> Result:
    held = control.approve(deployment, _by(args), args.why)
    return Result(line(held), _now(deployment, held))


def _back(deployment: Deployment, args: argparse.Namespace) -> Result:
    held = control.rollback(deployment, _by(args), args.why)
    return Result(line(held), _now(deployment, held))


def _log(deployment: Deployment, args: argparse.Namespace) -> Result:
    with _opened(deployment) as database:
        found = seen(database, deployment.name, args.id)
    if found is None:
        return _none(deployment, args)
    entries = [entry.to_dict() for entry in found.log]
    data = {"rollout": found.held.id, "head": found.held.head, "broken": found.broken or None, "entries": entries}
    return Result(data, shown_log(found), Exit.NO if found.broken else Exit.DONE)


def _now(deployment: Deployment, held: Held) -> str:
    """Where it is now, and why. It is done already: what cannot be shown of it is no reason to say that it is not."""
    try:
        with _opened(deployment) as database:
            found = seen(database, deployment.name, held.id)
    except PortsideError as error:
        return f"{held.place}\n{error}"
    return held.place if found is None else f"{held.place}\n{found.why(_ms())}"


def _none(deployment: Deployment, args: argparse.Namespace) -> Result:
    """Raise InputError for an id that is not there; else say that nothing was rolled out."""
    if args.id:
        raise InputError("There is no such rollout of this deployment", field="id", got=args.id, fix="portside rollout status lists them.")
    return Result(None, f"nothing was rolled out of {deployment.name}\nportside rollout start {args.deployment}", Exit.NOT_ENOUGH_DATA)


@contextmanager
def _opened(deployment: Deployment) -> Generator[Database]:
    with open_records(deployment.path) as database:
        try:
            yield database
        except SQLAlchemyError as error:
            raise StoreError(f"The rollout cannot be read: {reason(error)}", got=database.place,
                             fix="Ask again; if it stays so, take the records from a copy.") from error  # fmt: skip


def _by(args: argparse.Namespace) -> str:
    return author(args.by)


def _ms() -> int:
    return time.time_ns() // 1_000_000
