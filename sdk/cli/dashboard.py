"""`portside dashboard`: the dashboard, the review page, records and labels of deployments, without serving their models."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path

from ...cloud.deployment.file import read
from ...cloud.desk.apart import Apart, address
from ...cloud.security.listening import check_public
from ...cloud.serving import check_port
from ..core.errors import InputError
from .console import Result, progress

EXAMPLE = """
  portside dashboard deployment.toml              then open http://127.0.0.1:3100/dashboard
  portside dashboard cell.toml spam.toml          both on one page, where they write to the same database
  portside dashboard deployment.toml --check      only look whether the database answers, and what is in it
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose records, and where to listen."""
    parser.add_argument("deployments", type=Path, metavar="DEPLOYMENT.toml", nargs="+")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=3100)
    parser.add_argument("--insecure-public", action="store_true", help="listen where others can reach it although there are no keys")
    parser.add_argument("--check", action="store_true", help="only open the database, and say what it holds")


def run(args: argparse.Namespace) -> Result:
    """Serve until a signal ends it. Raises FormatError, InputError, TrustError before anything listens."""
    apart = Apart([read(path) for path in args.deployments], args.insecure_public)
    database = apart.desk.database
    if args.check:
        apart.desk.close()
        return Result({"database": database.kind, "place": database.place, "deployments": list(apart.desk.names)},
                      f"{database.kind} at {database.place}, shown for {', '.join(apart.desk.names)}")  # fmt: skip
    _check(args.host, args.port)
    check_public(args.host, apart.public)
    check_port(args.host, args.port)
    where = address(args.host, args.port, apart.deployment.server.tls is not None)
    progress(f"{where} shows {', '.join(apart.desk.names)}; Ctrl-C ends it")
    apart.run(args.host, args.port)
    return Result({"served": where}, "")


def _check(host: str, port: int) -> None:
    """Raise InputError for a host or port that cannot be."""
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise InputError("The host is not an IP address", field="host", got=host, expected="such as 127.0.0.1 or 0.0.0.0") from error
    if not 0 < port < 65536:
        raise InputError("The port cannot be used", field="port", got=port)
