"""`portside graph`: show a graph of packages, make its golden answers, hold it against them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...cloud.deployment.file import read as read_deployment
from ...cloud.graph.golden import GraphReport, check_golden, golden_file
from ...cloud.graph.making import make_golden
from ...cloud.graph.opening import open_graph
from ...cloud.graph.resolving import ResolvedGraph, resolve
from ..core.errors import FormatError
from .console import Exit, Result, progress, table
from .graph_table import shown_graph
from .tables import read

EXAMPLE = """
  portside graph show funnel.toml                            its steps, its conditions, where its answer comes from
  portside graph golden funnel.toml --data mails.csv         golden requests and reference answers, beside the file
  portside graph verify funnel.toml                          does it still answer so? exit code 1 where it does not
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command each."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="show|golden|verify")
    for name, about in (("show", "the steps"), ("golden", "make the golden answers"), ("verify", "hold the graph against them")):
        command = commands.add_parser(name, help=about, allow_abbrev=False)
        command.add_argument("graph", type=Path, metavar="GRAPH.toml")
        if name == "golden":
            command.add_argument("--data", required=True, help="rows of the request: FILE.py:OBJECT, .npz or .csv")
            command.add_argument("--rows", type=int, default=64, help="how many of them (default: 64)")
            command.add_argument("--label", default="label", help="a column that is no field of the request (default: label)")


def run(args: argparse.Namespace) -> Result:
    """Resolve the graph, then do what was asked."""
    progress(f"resolving {args.graph} ...")
    resolved = resolve(read_deployment(args.graph))
    if not isinstance(resolved, ResolvedGraph):
        raise FormatError("This deployment is no graph", got=args.graph.name, expected="a file with [[step]]")
    if args.action == "show":
        return shown_graph(resolved)
    if args.action == "golden":
        path = make_golden(resolved, read(args.data, args.label).inputs, args.rows)
        return Result({"golden": str(path), "bytes": path.stat().st_size}, f"{path}: {path.stat().st_size} bytes")
    return _verified(resolved)


def _verified(resolved: ResolvedGraph) -> Result:
    if not golden_file(resolved).is_file():
        raise FormatError("The graph has no golden answers", got=golden_file(resolved).name, fix="Make them: portside graph golden")
    engine = open_graph(resolved, proven=False)
    try:
        engine.warm(resolved.deployment.server.warm_up_s)
        report = check_golden(resolved, engine)
    finally:
        engine.close()
    code = {"passed": Exit.DONE, "failed": Exit.NO}.get(report.verdict, Exit.NOT_ENOUGH_DATA)
    return Result(report.to_dict(), _text(report), code)


def _text(report: GraphReport) -> str:
    rows = [[name, check.kind, check.rows, check.flips, check.fragile_rows, f"{check.max_abs:.3g}", check.verdict, check.note]
            for name, check in report.checks.items()]  # fmt: skip
    head = ["output", "kind", "rows", "off", "fragile", "farthest", "verdict", ""]
    lines = [table(rows, head=head)] if rows else []
    lines += [f"stopped: {report.fault}"] if report.fault else []
    lines += [f"made with other packages: {', '.join(report.made_with)}"] if report.made_with else []
    return "\n".join([*lines, report.verdict])
