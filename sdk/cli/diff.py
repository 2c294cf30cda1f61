"""`portside diff`: what is different between two packages or artifacts; with rows, also in what they answer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from ...runtimes.diff import Diff, diff
from ..core.errors import InputError
from .audited import audited, budget_of, exit_of, gate_arguments, row_arguments
from .console import Exit, Result, size, table
from .models import open_model

EXAMPLE = """
  portside diff inspector:3 inspector-int8:1
  portside diff inspector:3 dist/inspector-onnx-cpu --data held_out.csv --label defect --max-flips 0.01

  B is the newer one: with --data it is audited against A. --exit-code: 1 where the two have different digests.
"""
_NODES = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """The two, and rows to audit on."""
    parser.add_argument("a", metavar="A", help="a package or artifact: a folder, or a name in the store")
    parser.add_argument("b", metavar="B", help="the newer one; the same forms")
    row_arguments(parser, required=False)
    gate_arguments(parser)
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 where the digests differ")
    parser.add_argument("--trust", action="store_true", help="allow Python from the packages (host stages) to run, for --data")


def run(args: argparse.Namespace) -> Result:
    """Read both, compare, and audit where there are rows. The sterner of the two answers is the exit code."""
    if budget_of(args).limits and not args.data:
        raise InputError("A limit needs rows to be judged on", fix="Add --data FILE.")
    a, b = open_model(args.a, args.trust), open_model(args.b, args.trust)
    found = diff(a, b)
    audit = audited(args, b, a) if args.data else None
    data = {**found.to_dict(), "audit": audit.to_dict() if audit is not None else None}
    text = shown(found) + (f"\n\n{audit}" if audit is not None else "")
    code = exit_of(audit) if audit is not None else Exit.DONE
    return Result(data, text, Exit.NO if args.exit_code and not found.same else code)


def shown(found: Diff) -> str:
    """The difference for a terminal: A on the left, B on the right; what is equal is not there."""
    about = [[name, *(_cell(side[name]) for side in (found.a, found.b))] for name in ("name", "kind", "target", "digest", "package")]
    parts = [table([row for row in about if row[1] or row[2]], head=["", "A", "B"]), f"relation: {found.relation}"]
    sizes = {path: {side: None if held[side] is None else size(held[side]) for side in "ab"} for path, held in found.files.items()}
    weights = {name: {side: size(held[side] or 0) for side in "ab"} for name, held in found.weights_bytes.items()}
    plan = dict(list(found.plan.items())[:_NODES])
    sections: dict[str, Mapping[str, Any]] = {
        "signature": found.signature, "codec": found.codec, "stage": found.stages, "file": sizes, "weights": weights,
        "node": plan, "contract": found.contract,
    }  # fmt: skip
    parts += [_section(title, held) for title, held in sections.items() if held]
    if len(found.plan) > _NODES:
        parts.append(f"and {len(found.plan) - _NODES} more nodes")
    if found.recipe:
        rows = [[f"only in {side.upper()}", json.dumps(step, ensure_ascii=False)] for side in "ab" for step in found.recipe[side]]
        parts.append(table(rows, head=["recipe", "step"]))
    return "\n\n".join(parts) if not found.same else f"{parts[0]}\n\nidentical: the same digest"


def _section(title: str, held: Mapping[str, Any]) -> str:
    return table([[name, _cell(pair["a"]), _cell(pair["b"])] for name, pair in held.items()], head=[title, "A", "B"])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
