"""`portside serve`: check deployments, then become the BentoML server that answers for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ...cloud.deployment.resolving import Resolved, ResolvedModel
from ...cloud.graph.resolving import ResolvedGraph
from ...cloud.serving import prepare, serve
from .console import Result, fields, progress, short, table
from .graph_table import shown_graph

EXAMPLE = """
  portside serve deployment.toml --port 3000
  portside serve cell.toml spam.toml              both, each at /predict/NAME; the first one at /predict too
  portside serve deployment.toml --check          resolve, compile and verify everything, and serve nothing
  curl -F photo=@cell.jpg localhost:3000/predict  then ask it; localhost:3000/docs lists the routes
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The deployments and where to listen."""
    parser.add_argument("deployments", type=Path, metavar="DEPLOYMENT.toml", nargs="+")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=1, help="server processes, each with models of its own (default: 1)")
    parser.add_argument("--insecure-public", action="store_true", help="listen where others can reach it although there are no keys")
    parser.add_argument("--check", action="store_true", help="only check the deployment, and show its chain")


def run(args: argparse.Namespace) -> Result:
    """Does not return unless it only checks. Raises what is wrong with the deployment before anything listens."""
    progress(f"resolving {', '.join(map(str, args.deployments))} ...")
    if not args.check:
        serve(*args.deployments, host=args.host, port=args.port, workers=args.workers, insecure_public=args.insecure_public)
    checked = [_checked(one) for one in prepare(*args.deployments)]
    if len(checked) == 1:
        return checked[0]
    return Result({"deployments": [one.data for one in checked]}, "\n\n".join(one.text for one in checked))


def _checked(resolved: Resolved) -> Result:
    if isinstance(resolved, ResolvedGraph):
        return shown_graph(resolved)
    entries = [_entry(entry) for entry in resolved.entries]
    deadline = resolved.deployment.failover.deadline_ms
    head = {"deployment": resolved.deployment.name, "digest": resolved.digest, "deadline": f"{deadline:g} ms" if deadline else None}
    challengers = [_entry(model) for model in resolved.challengers]
    rows = [[place, *entry.values()] for place, entry in enumerate(entries)] + [["challenger", *entry.values()] for entry in challengers]
    shown = [[*row[:3], short(str(row[3])) if row[3] else "", *row[4:]] for row in rows]
    text = f"{fields(head)}\n\n{table(shown, head=['entry', 'kind', 'name', 'digest', 'isolation'])}"
    more = {"challengers": challengers} if challengers else {}
    return Result({"deployment": resolved.deployment.name, "digest": resolved.digest, "entries": entries, **more}, text)


def _entry(entry: Any) -> dict[str, str]:
    if isinstance(entry, ResolvedModel):
        return {"kind": entry.artifact.target, "name": entry.name, "digest": entry.digest, "isolation": entry.settings.isolation}
    kind = "default" if isinstance(entry, dict) else type(entry).__name__.lower()
    return {"kind": kind, "name": str(getattr(entry, "url", "")), "digest": "", "isolation": ""}
