"""`portside release`: compiled, proven artifacts of one package, together, in the store."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...runtimes.releasing import release
from ..store import Store
from .console import Result, fields, size, table

EXAMPLE = """
  portside store push inspector-package
  portside compile inspector:1 --target onnx-cpu --out dist/server
  portside compile inspector:1 --target tflite --out dist/device
  portside compile inspector:1 --target wasm --out dist/page
  portside release dist/server dist/device dist/page
  portside store pull inspector:1 --target tflite --out on-the-device
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The artifacts, and where to put them."""
    parser.add_argument("artifacts", nargs="+", type=Path, metavar="ARTIFACT", help="folders that portside compile wrote, of one package")
    parser.add_argument("--store", metavar="FOLDER", help="the store (default: $PORTSIDE_HOME, else ~/.portside)")


def run(args: argparse.Namespace) -> Result:
    """Check every artifact, store it, and print what the release holds."""
    made = release(args.artifacts, Store(args.store))
    rows = [[part.target, part.platform, part.verdict, size(part.size_bytes)] for part in made.parts]
    head = fields({"release": made.digest, "name": made.name, "package": made.package})
    return Result(made.to_dict(), head + "\n\n" + table(rows, head=["target", "platform", "verified", "size"]))
