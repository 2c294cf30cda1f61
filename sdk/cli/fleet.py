"""`portside fleet`: devices enrolled and blocked, which release they are to run, how they stand, what happened on one."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ...cloud.deployment.file import read
from ...cloud.fleet import tables
from ...cloud.fleet.desired import ONE, Desired, matches, pairs
from ...cloud.fleet.devices import Device, block, devices, enrol, want
from ...cloud.fleet.going_back import go_back
from ...cloud.fleet.overview import fleet, log
from ...cloud.records.database import Database
from ...cloud.records.finding import open_records
from ...cloud.security.keys import EVERY
from ..core.canonical import check_digest
from ..core.errors import FormatError, InputError
from .author import author
from .console import Exit, Result, short
from .fleet_text import shown_fleet, shown_log

EXAMPLE = """
  portside fleet enrol deployment.toml cam-7 --label site=north --label line=3     prints the device's key, once
  portside fleet ls deployment.toml                                                exit code 1: a device refused what is wanted
  portside fleet set deployment.toml sha256:4f1c... --label site=north             as portside release printed it
  portside fleet set deployment.toml sha256:4f1c... --device cam-7                 this device alone; it counts before labels
  portside fleet logs deployment.toml cam-7                                        updates, errors, and what was wanted
  portside fleet rollback deployment.toml --label site=north                       what was wanted there before
  portside fleet block deployment.toml cam-7 --why "stolen"                        its key counts no more; --again lets it in
"""
NOTHING = "none"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which fleet."""
    parts = parser.add_subparsers(dest="action", required=True)
    made = {name: parts.add_parser(name, help=what) for name, what in ACTIONS.items()}
    for part in made.values():
        part.add_argument("source", metavar="DEPLOYMENT.toml|FILE.sqlite|URL", help="the records database that devices send to")
    for name in ("enrol", "logs", "block"):
        made[name].add_argument("device", metavar="DEVICE")
    made["enrol"].add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="by which releases are chosen; repeat it")
    made["enrol"].add_argument("--deployment", action="append", metavar="NAME", help="it may send records of this one (default: every)")
    made["ls"].add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="only devices with it; repeat it")
    made["set"].add_argument("release", metavar="RELEASE", help=f"its digest, sha256:...; {NOTHING}: take the word back")
    for name in ("set", "rollback"):
        made[name].add_argument("--device", action="append", default=[], metavar="DEVICE", help="this one alone; repeat it")
        made[name].add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="devices with all of these")
        made[name].add_argument("--all", action="store_true", help="every device; what was said of some more exactly still counts")
        made[name].add_argument("--as", dest="by", metavar="NAME", help="who says so (default: your account here)")
    made["logs"].add_argument("--limit", type=int, default=50, help="at most so many lines (default: %(default)s)")
    made["block"].add_argument("--why", default="blocked by an operator", help="told to the device, and shown")
    made["block"].add_argument("--again", action="store_true", help="let it in again")


def run(args: argparse.Namespace) -> Result:
    """Do it; what is reported is durable. Raises InputError, FormatError, StoreError."""
    with _opened(args) as database:
        tables.prepare(database)
        return RUNS[args.action](database, args)


def _opened(args: argparse.Namespace) -> Database:
    """The database. A fleet may begin before anything was served: `enrol` makes it where a deployment says its place.

    Raises FormatError.
    """
    if Path(args.source).suffix != ".toml":
        return open_records(args.source)
    deployment = read(Path(args.source))
    where = deployment.records.place(deployment.folder)
    if args.action != "enrol" and isinstance(where, Path) and not where.is_file():
        raise FormatError("No device was enrolled here yet", got=str(where), fix=f"portside fleet enrol {args.source} DEVICE")
    return Database.open(where)


def _enrol(database: Database, args: argparse.Namespace) -> Result:
    labels = pairs(",".join(args.label))
    again = any(one.id == args.device for one in devices(database))
    key = enrol(database, args.device, labels, _now(), args.deployment or (EVERY,))
    lines = [key, "", f"This is shown once; {database.place} holds its hash. The agent of {args.device} sends with it.",
             *(["The key that this device had counts no more."] if again else [])]  # fmt: skip
    return Result({"device": args.device, "key": key, "labels": labels, "again": again}, "\n".join(lines))


def _ls(database: Database, args: argparse.Namespace) -> Result:
    selector = ",".join(args.label)
    pairs(selector)
    found = [line for line in fleet(database, _now()) if matches(selector, line.device.id, line.device.labels)]
    refused = any(line.standing.state == "refused" for line in found)
    return Result([line.to_dict() for line in found], shown_fleet(found, _now()), Exit.NO if refused else Exit.DONE)


def _set(database: Database, args: argparse.Namespace) -> Result:
    release = "" if args.release == NOTHING else _digest(args.release)
    selectors = _selectors(database, args)
    for selector in selectors:
        want(database, Desired(selector, release, _now()), author(args.by))
    held = devices(database)
    meant = [one for one in held if any(matches(selector, one.id, one.labels) for selector in selectors)]
    others = [one.id for one in meant if release and one.desired != release]
    said = f"{short(release)} is wanted" if release else "nothing is said any more"
    lines = [f"{said} for {_names(meant)}; each is told when it next sends something"]
    if others:
        lines.append(f"not for {', '.join(others[:10])}: something more exact was said of them (portside fleet logs shows it)")
    data = {"release": release or None, "selectors": selectors, "devices": [one.id for one in meant], "others": others}
    return Result(data, "\n".join(lines))


def _logs(database: Database, args: argparse.Namespace) -> Result:
    found = log(database, _known(database, args.device), max(1, args.limit))
    return Result([vars(told) for told in found], shown_log(found, args.device))


def _rollback(database: Database, args: argparse.Namespace) -> Result:
    by, found = author(args.by), dict[str, str]()
    for selector in _selectors(database, args):
        found[selector] = go_back(database, selector, by, _now())
    lines = [f"{short(release)} is wanted for {selector or 'all devices'}" for selector, release in found.items()]
    lines.append("Devices take nothing older than what they accepted: sign the way back, if nobody did yet, with\n"
                 "  portside sign publish REPOSITORY PACKAGE --release DIGEST --rolls-back-to SEQUENCE")  # fmt: skip
    return Result({"wanted": found}, "\n".join(lines))


def _block(database: Database, args: argparse.Namespace) -> Result:
    known = _known(database, args.device)
    block(database, known.id, None if args.again else args.why)
    text = f"{known.id} is let in again" if args.again else f"{known.id} is let in no more: {args.why}"
    return Result({"device": known.id, "blocked": None if args.again else args.why}, text)


def _selectors(database: Database, args: argparse.Namespace) -> list[str]:
    """Whom a word is for. Raises InputError where nobody or somebody unknown is meant."""
    if bool(args.device) + bool(args.label) + args.all != 1:
        raise InputError("A word is for devices, for those with labels, or for all", expected="one of --device, --label, --all")
    selector = ",".join(sorted(args.label))
    pairs(selector)
    return [f"{ONE}{_known(database, name).id}" for name in args.device] or [selector]


def _known(database: Database, name: str) -> Device:
    held = {one.id: one for one in devices(database)}
    if name not in held:
        expected = ", ".join(list(held)[:10]) or "none is enrolled"
        raise InputError("There is no such device here", field="device", got=name[:70], expected=expected,
                         fix=f"portside fleet enrol SOURCE {name[:70]}")  # fmt: skip
    return held[name]


def _digest(said: str) -> str:
    try:
        return check_digest(said, "A release")
    except FormatError as error:
        raise InputError("This is no digest of a release", field="release", got=said[:80], expected="sha256: and 64 hex digits",
                         fix="portside release prints it, and portside sign status lists those that are signed.") from error  # fmt: skip


def _names(held: list[Device]) -> str:
    names = ", ".join(one.id for one in held[:10])
    return f"{len(held)} device{'' if len(held) == 1 else 's'}" + (f": {names}{', ...' if len(held) > 10 else ''}" if held else "")


def _now() -> int:
    return time.time_ns() // 1_000_000


ACTIONS = {"enrol": "add a device, or give it a new key; prints the key", "ls": "all devices, and how they stand",
           "set": "which release devices are to run", "logs": "what happened on a device, the newest first",
           "rollback": "want what was wanted before", "block": "let a device in no more"}  # fmt: skip
RUNS = {"enrol": _enrol, "ls": _ls, "set": _set, "logs": _logs, "rollback": _rollback, "block": _block}
