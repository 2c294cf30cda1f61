"""`portside card`: the model card of a package, as Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..card import card
from .console import Result, progress
from .places import open_package_at

EXAMPLE = """
  portside card inspector:3
  portside card inspector:3 --out MODEL_CARD.md
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The package, and a file."""
    parser.add_argument("package", metavar="PACKAGE", help="a folder, or a name in the store")
    parser.add_argument("--out", type=Path, help="write it to this file as well")


def run(args: argparse.Namespace) -> Result:
    """Read the manifest and the contract; nothing in the package is run."""
    package = open_package_at(args.package)
    text = card(package)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")
        progress(f"written to {args.out}")
    return Result({"package": package.name, "digest": package.digest, "card": text}, text.rstrip("\n"))
