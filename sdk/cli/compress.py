"""`portside compress`: run a recipe on a package; precision is measured on a target, with what stayed float and why."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from ...compress.compressing import Compressed, compressed
from ...compress.ladder import Climb
from ...compress.ladder_page import Climbed
from ...compress.ladder_report import known
from ...compress.ladder_report import written as write_page
from ...compress.recipe import Recipe, recipe_of
from ...runtimes.audit_text import gate_lines
from ...runtimes.hardware import built_on
from ..core.budget import Budget
from ..core.data import Data
from ..core.errors import InputError
from ..core.package import Package
from ..core.plan import plan_of
from .again import command_line
from .audited import budget_of, gate_arguments
from .console import Exit, Result, progress
from .places import open_package_at, page_file
from .tables import arguments as data_arguments
from .tables import data_words, rows_of

EXAMPLE = """
  portside compress inspector:4 int8-static train.npz --target onnx-cpu --held-out test.npz --max-drop 0.005
  portside compress inspector:4 recipe.toml train.py:rows --out small/
  portside compress inspector:4 recipe.json train.py:rows --out small/

  A recipe is a class of precision (float16, int8-dynamic, int8-static, int4-weights) or a file with [[pass]] and [gates] in
  TOML, or the same in JSON (.json).
  With --target a quantize pass is measured there: layers that hurt most go back to float, other calibrations and classes are tried,
  until the held-out rows hold. What a recipe without one makes is measured once. Where nothing lower than float32 holds, or what
  the passes made does not, nothing is written: exit code 1, or 4 where the rows are too few to tell.
"""

_INTERRUPTED = """nothing was written.
The same command begins again from its first step, or with --resume DIR from what was finished: passes, epochs, batches, nodes, rungs.
portside search --out FOLDER keeps what it has measured, and goes on from there."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Package, recipe, calibration rows; where to measure and what may be lost."""
    parser.add_argument("package", metavar="PACKAGE", help="a folder, or a name in the store")
    parser.add_argument("recipe", metavar="RECIPE", help="a class of precision, or a .toml or .json file")
    parser.add_argument("data", metavar="DATA", help="rows for calibration and training: FILE.py:OBJECT, .npz or .csv")
    parser.add_argument("--target", help="measure on this runtime, and climb the ladder with quantize; see `portside doctor`")
    parser.add_argument("--held-out", metavar="DATA", help="rows to judge on, with --target; not those of the calibration")
    gate_arguments(parser)
    parser.add_argument("--out", metavar="DIR", help="a new folder; default: the store")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--resume", metavar="DIR", help="keep what is finished here, and go on from it after a kill: passes, "
                        "training's epochs, answers and calibration by batch, sensitivity by node, rungs of the ladder, "
                        "choices of trees")  # fmt: skip
    parser.add_argument("--html", metavar="FILE", type=page_file, help="with --target: also write a page for people: the "
                        "ladder, what stayed float and why, the audit of the chosen rung, lineage")  # fmt: skip
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages, training) to run")
    data_arguments(parser)


def run(args: argparse.Namespace) -> Result:
    """Compress, and say what was tried."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_INTERRUPTED) from None


def _run(args: argparse.Namespace) -> Result:
    if args.html and args.target is None:
        raise InputError("A page shows a ladder, and without a target none is climbed", field="html", fix="Pass --target and --held-out.")
    package = open_package_at(args.package, args.trust)
    held_out = None if args.held_out is None else rows_of(args.held_out, args, package)
    found = compressed(package, _recipe(args), rows_of(args.data, args, package, judged=held_out is None), target=args.target,
                       held_out=held_out, out=args.out, seed=args.seed, resume=args.resume, progress=_Told())  # fmt: skip
    if args.html and found.climb is not None:
        progress(f"page: {_page(args, found.package, found.climb, held_out)}")
    written = found.package.digest != package.digest
    data = {"package": found.package.digest if written else None, "path": str(found.package.path) if written else None,
            "name": found.package.name, "warnings": list(_warnings(found)),
            "ladder": found.climb.to_dict() if found.climb else None}  # fmt: skip
    words = ["--target", args.target or "...", *([] if args.held_out is None else data_words(args.held_out, args))]
    undecided = found.climb is not None and found.climb.undecided
    code = Exit.DONE if written else Exit.NOT_ENOUGH_DATA if undecided else Exit.NO
    return Result(data, _text(found, written, words), code)


def _page(args: argparse.Namespace, package: Package, climb: Climb, held_out: Data | None) -> Path:
    built = built_on()
    lineage = {**known(package, held_out), "versions": built["versions"], "cpu": built["cpu"]}
    command = command_line("compress", args, ("package", "recipe", "data"))
    return write_page(Climbed.of(package.name, climb.to_dict(), lineage, command), package, args.html, held_out)


def _recipe(args: argparse.Namespace) -> Recipe:
    recipe = recipe_of(args.recipe)
    return Recipe(recipe.passes, Budget(**{**recipe.gates.limits, **budget_of(args).limits}))


class _Told:
    """Progress on stderr, a line when what is done changes."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, done: int, of: int, what: str) -> None:
        """One step of `of`."""
        head = what.split(" of ")[0]
        if head != self.last or done % 10 == 0:
            progress(f"{what} ({done}/{of}) ...")
        self.last = head


def _warnings(found: Compressed) -> tuple[str, ...]:
    return plan_of(found.package.content.plan).warnings


def _text(found: Compressed, written: bool, words: Sequence[str]) -> str:
    lines: list[str] = []
    if found.climb is not None:
        chosen = found.climb.chosen.trial
        lines += [f"{number}. {rung}\n     {rung.why}" for number, rung in enumerate(found.climb.rungs, 1)]
        lines += ["", f"chosen: {chosen.settings}", *found.climb.remarks]
        lines += ["", *gate_lines([gate.to_dict() for gate in chosen.asked])] if chosen.asked else []
    else:
        lines += [f"calibration: {held}" for held in _warnings(found)]  # a climb says them among its remarks
    if not written:
        return "\n".join([*lines, "", "nothing was written"])
    package = found.package
    lines += ["", f"{package.name}  {package.digest}", f"at {package.path}"]
    return "\n".join([*lines, f"next: portside compile {shlex.join([str(package.path), *words])}"])
