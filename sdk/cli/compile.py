"""`portside compile`: a package for a target, verified on its contract or not written at all."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from ...runtimes.artifact import Artifact
from ...runtimes.base import compile_options
from ...runtimes.compiling import compile as compile_package
from ...runtimes.costs import said
from ...runtimes.subjects import codec_of
from ..core.data import Data
from ..core.errors import InputError
from ..core.package import Package
from .audited import budget_of, gate_arguments, row_arguments
from .console import Result, fields, progress, size, terminal_width, wrapped
from .places import is_artifact, open_package_at
from .tables import fitting, read

EXAMPLE = """
  portside compile inspector:3 --target onnx-cpu --out dist/inspector
  portside compile inspector:3 --target tflite --option 'batches=[1, 8, 32]' --option source=onnx
  portside compile inspector-int8:1 --data held_out.csv --label defect --max-drop 0.005 --max-flips 0.01
"""

OWN = ("allow_unproven", "taps", "data", "prove", "gates", "ancestor")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The package, the target, the folder, and the target's own options."""
    parser.add_argument("package", metavar="PACKAGE", help="a folder, or a name in the store")
    parser.add_argument("--target", default="onnx-cpu", help="what to compile for; portside doctor lists them (default: onnx-cpu)")
    parser.add_argument("--out", type=Path, help="the artifact's folder: new, empty, or an artifact, which is replaced once "
                        "the new one is proven; anything else is refused (default: dist/NAME-TARGET)")  # fmt: skip
    parser.add_argument("--tap", action="append", default=[], metavar="BOUNDARY", help="make features or model an optional output")
    row_arguments(parser, required=False)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                        help="an option of this target, listed below; VALUE is JSON or text")  # fmt: skip
    gate_arguments(parser)
    parser.add_argument("--ancestor", metavar="PACKAGE|ARTIFACT", help="what the gates compare with (default: the package's first parent)")
    parser.add_argument("--allow-unproven", action="store_true",
                        help="write a lossy artifact without enough data to judge it, or one that cannot run here")  # fmt: skip
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages) to run")
    own = {target: options or {"": "none"} for target, options in compile_options().items()}
    rows, width = [[target, name, line] for target, options in own.items() for name, line in options.items()], terminal_width()
    parser.add_argument_group("options of targets", wrapped(rows, width=width and width - 2))  # argparse indents by two


def run(args: argparse.Namespace) -> Result:
    """Compile, verify, publish. Raises ContractError when it does not answer as its package does."""
    package = open_package_at(args.package, args.trust)
    out = args.out or Path("dist") / f"{package.name.replace('/', '-')}-{args.target}"
    progress(f"compiling {package.name} for {args.target} ...{' it replaces the artifact in ' + str(out) if is_artifact(str(out)) else ''}")
    gates = budget_of(args)
    artifact = compile_package(
        package, args.target, out, allow_unproven=args.allow_unproven, taps=args.tap, ancestor=args.ancestor,
        gates=gates if gates.limits else None, data=_rows(args, package), **dict(map(_option, args.option)),
    )  # fmt: skip
    data = {"name": artifact.name, "target": artifact.target, "digest": artifact.digest, "package": artifact.package_digest,
            "path": str(artifact.path), "engine_bytes": artifact.size_bytes, "verified": dict(artifact.verified),
            "batch_invariant": artifact.batch_invariant}  # fmt: skip
    shown = {**data, "engine_bytes": None, "engine": size(artifact.size_bytes), "verified": artifact.verified.get("verdict"),
             "batch_invariant": None, "batch invariant": "yes" if artifact.batch_invariant else "no",
             "costs": said(artifact)}  # fmt: skip
    return Result(data, "\n\n".join([fields(shown), *_remarks(artifact), _next(artifact, out)]))


def _remarks(artifact: Artifact) -> list[str]:
    """What costs more than it should, a paragraph of it."""
    found = artifact.verified.get("costs", {}).get("remarks", ())
    unproven = [f"{artifact.verified['unproven']}\n{artifact.verified.get('check', '')}"] if artifact.verified.get("unproven") else []
    return [*(["\n".join(found)] if found else []), *unproven]


def _rows(args: argparse.Namespace, package: Package) -> Data | None:
    """Held-out rows, judged beside the contract."""
    return fitting(read(args.data, args.label, args.slice), package) if args.data else None


def _next(artifact: Artifact, out: Path) -> str:
    """What one does with an artifact."""
    where = shlex.quote(str(out))
    asked = [spec.name for spec in artifact.signature.inputs if spec.required]
    inputs = " ".join(f"{field.name}=..." for field in codec_of(artifact).wire_fields(artifact.signature) if {*field.inputs} & {*asked})
    if artifact.verified.get("unproven"):
        return f"next: where it can run: portside verify {where}"
    uses = [f"predict {where} {inputs}", f"bench {where}", *([f"preview {where}"] if "index.html" in artifact.files else [])]
    return "\n".join(f"{'next:' if not place else '':6}portside {use}" for place, use in enumerate(uses))


def _option(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or name in OWN:
        raise InputError("An option of a target is NAME=VALUE", got=word)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
