"""`portside reload`: let the running server of a deployment take up what its file says now, without a dropped request."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...cloud.reloading import reload
from .console import Exit, Result, fields, progress, table

EXAMPLE = """
  portside reload deployment.toml                 resolve, compile, pin by digest, and let every worker take it up
  portside reload deployment.toml --wait 120      the same, and say when every worker serves it
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The deployment, and how long to wait."""
    parser.add_argument("deployment", type=Path, metavar="DEPLOYMENT.toml", help="the file that the server was started with")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", nargs="?", const=600.0,
                        help="wait until every worker serves it (600 s where no time is given)")  # fmt: skip


def run(args: argparse.Namespace) -> Result:
    """The answer is no where a worker goes on with the version before, or is not there yet when the wait is over."""
    progress(f"resolving {args.deployment} ...")
    done = reload(args.deployment, args.wait)
    rows = [[state.pid, state.state, state.generation, state.why] for state in done.workers]
    workers = [{"pid": state.pid, "state": state.state, "generation": state.generation, "why": state.why} for state in done.workers]
    data = {"generation": done.generation, "digest": done.digest, "served": done.served, "workers": workers}
    head = fields({"generation": done.generation, "digest": done.digest, "served": "yes" if done.served else "no"})
    code = Exit.NO if done.failed or (args.wait and not done.served) else Exit.DONE
    return Result(data, f"{head}\n\n{table(rows, head=['worker', 'state', 'generation', 'why'])}", code)
