"""`portside pack`: make a package from FILE.py:OBJECT."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ..core.errors import StoreError
from ..core.package import Package
from ..store import Store
from .console import Result, fields, progress, size
from .objects import load_object

EXAMPLE = """
  # train.py ends with:   def package(): return ps.pack(model, name="inspector", examples={"image": raw}, labels=y)
  portside pack train.py:package --store          push it to the store, as the next version of its name
  portside pack train.py:package --out inspector  write it to a folder
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """FILE.py:OBJECT and where the package goes."""
    parser.add_argument("object", metavar="FILE.py:OBJECT", help="a Package, or a function without arguments that returns one")
    parser.add_argument("--out", type=Path, help="copy the package into this new folder")
    parser.add_argument("--store", nargs="?", const="", metavar="FOLDER", help="push it to the store (default: $PORTSIDE_HOME)")


def run(args: argparse.Namespace) -> Result:
    """Run the file, take the package, put it where it was asked for."""
    progress(f"running {args.object} ...")
    package: Package = load_object(args.object, Package)
    path, reference = package.path, None
    if args.out is not None:
        path = _copied(package, args.out)
    if args.store is not None:
        reference = Store(args.store or None).push(package)
    total = sum(entry.size for entry in package.content.files.values())
    data = {"name": package.name, "digest": package.digest, "path": str(path), "reference": reference, "size_bytes": total}
    return Result(data, fields({**data, "size_bytes": size(total)}))


def _copied(package: Package, out: Path) -> Path:
    if out.resolve() == package.path.resolve():
        return out
    if out.exists():
        raise StoreError("The output folder exists already", got=str(out), fix="Name a new folder, or remove it first.")
    shutil.copytree(package.path, out)
    return out
