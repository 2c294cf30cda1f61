"""`portside bench`: how fast, how large and how hungry, measured on this machine."""

from __future__ import annotations

import argparse

from ...runtimes.bench import bench
from ..core.errors import InputError
from .console import Result, progress
from .models import compiled, open_model

EXAMPLE = """
  portside bench dist/inspector-onnx-cpu                     a compiled artifact
  portside bench inspector:3 --target onnx-cpu --batches 1,32 --seconds 2
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, and for how long."""
    parser.add_argument("model", metavar="ARTIFACT|PACKAGE", help="a folder, or a name in the store; packages are compiled first")
    parser.add_argument("--target", default="onnx-cpu", help="what a package is compiled for (default: onnx-cpu)")
    parser.add_argument("--batches", default="1,8", help="rows per call, with commas between (default: 1,8)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one turn (default: 0.5)")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved turns per batch size (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine (default: 1)")
    parser.add_argument("--processes", type=int, default=3, help="fresh processes for memory and cold start; 0: neither (default: 3)")
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages) to run")


def run(args: argparse.Namespace) -> Result:
    """Compile if needed, then measure."""
    batches = _batches(args.batches)
    with compiled(open_model(args.model, args.trust), args.target) as artifact:
        progress(f"measuring {artifact.name} on {artifact.target} ...")
        timings = bench(artifact, batches=batches, repeats=args.repeats, seconds=args.seconds, threads=args.threads,
                        trust=args.trust, processes=args.processes)  # fmt: skip
    return Result(timings.to_dict(), str(timings))


def _batches(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError("Batches are whole numbers with commas between", got=text, expected="such as 1,8,32")
    return tuple(int(part) for part in parts)
