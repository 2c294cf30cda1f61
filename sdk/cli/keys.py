"""`portside keys`: make, list and revoke the API keys of a server. A key is shown once; its file holds hashes."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from ...cloud.deployment.file import read as read_deployment
from ...cloud.security.key_file import read, write
from ...cloud.security.keys import EVERY, SCOPES, Key, Rate, new
from ..core.errors import FormatError, InputError
from .console import Result, table

EXAMPLE = """
  portside keys new ana --expires 90d             shown once; keys.json holds its hash
  portside keys new prometheus --scope metrics    what it may: predict (the default), metrics, monitor, label, review, admin
  portside keys ls --file deployment.toml         the file that its [server.keys] names
  portside keys revoke 3f9a1c2b4d5e               a running server notices within a second
"""
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which file."""
    parts = parser.add_subparsers(dest="action", required=True)
    make = parts.add_parser("new", help="make a key and print it")
    make.add_argument("name", metavar="NAME", help="who has it; stands in logs")
    make.add_argument("--scope", action="append", choices=SCOPES, help="may be given several times (default: predict)")
    make.add_argument("--deployment", action="append", metavar="NAME", help="only this one; may be given several times (default: every)")
    make.add_argument("--expires", metavar="90d", help="when it ends: minutes (m), hours (h) or days (d) from now (default: never)")
    make.add_argument("--requests-per-s", type=float, help="a limit of its own")
    make.add_argument("--rows-per-s", type=float, help="a limit of its own")
    make.add_argument("--burst-s", type=float, default=1.0, help="seconds' worth that may come at once (default: 1)")
    revoke = parts.add_parser("revoke", help="take a key back")
    revoke.add_argument("id", metavar="ID", help="as `ls` shows it")
    for part in (make, parts.add_parser("ls", help="list keys"), revoke):
        part.add_argument("--file", type=Path, default=Path("keys.json"), metavar="KEYS.json|DEPLOYMENT.toml")


def run(args: argparse.Namespace) -> Result:
    """Do it. Raises InputError, FormatError."""
    file = _file(args.file)
    keys = read(file)
    if args.action == "new":
        return _new(args, file, keys)
    return _revoke(file, keys, args.id) if args.action == "revoke" else _list(file, keys)


def _new(args: argparse.Namespace, file: Path, keys: dict[str, Key]) -> Result:
    now = time.time()
    expires = None if args.expires is None else now + seconds(args.expires)
    key, text = new(args.name, args.scope or ["predict"], args.deployment or [EVERY], now=now, expires=expires, rate=_rate(args))
    write(file, [*keys.values(), key])
    shown = f"{text}\n\nThis is shown once. {file} holds its hash; its id is {key.id}."
    if others := [held.id for held in keys.values() if held.name == args.name]:
        shown += f"\n{args.name} has another key, {', '.join(others)}: once this one is in use, portside keys revoke {others[0]}."
    return Result({"key": text, "id": key.id, "file": str(file), "expires": key.expires}, shown)


def _revoke(file: Path, keys: dict[str, Key], number: str) -> Result:
    if number not in keys:
        raise InputError("There is no key with this id", field="id", got=number, expected=", ".join(keys) or "none: the file holds no keys")
    write(file, [key for key in keys.values() if key.id != number])
    return Result({"revoked": number, "name": keys[number].name}, f"revoked {number} ({keys[number].name})")


def _list(file: Path, keys: dict[str, Key]) -> Result:
    rows = [[key.id, key.name, ", ".join(key.scopes), ", ".join(key.deployments), _day(key.created), _day(key.expires)]
            for key in keys.values()]  # fmt: skip
    text = table(rows, head=["id", "name", "scopes", "deployments", "created", "expires"]) if rows else f"no keys in {file}"
    return Result([{**key.to_dict(), "hash": None} for key in keys.values()], text)


def seconds(said: str) -> float:
    """`90d` as seconds. Raises InputError."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", said)
    if found is None or not int(found[1]):
        raise InputError("This is no time from now", field="expires", got=said, expected="such as 30m, 12h or 90d")
    return int(found[1]) * _UNITS[found[2]]


def _rate(args: argparse.Namespace) -> Rate | None:
    given = (args.requests_per_s, args.rows_per_s)
    if any(value is not None and not value > 0 for value in (*given, args.burst_s)):
        raise InputError("A limit is above zero", field="rate", got=(*given, args.burst_s))
    return Rate(*given, args.burst_s) if any(value is not None for value in given) else None


def _day(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


def _file(said: Path) -> Path:
    """The file of keys itself, or the one that a deployment names."""
    if said.suffix != ".toml":
        return said
    deployment = read_deployment(said)
    if deployment.server.keys is None:
        raise FormatError("This deployment names no file of keys", got=str(said), fix='Add [server.keys] with file = "keys.json".')
    return deployment.folder / deployment.server.keys.file
