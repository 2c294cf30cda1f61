"""What stands where a command points: an artifact folder, a package folder, or a name in the store."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path

from ...runtimes.artifact import DESCRIPTION
from ..core.package import Package
from ..opening import open as open_reference


def is_artifact(word: str) -> bool:
    """Whether the word is the folder of a compiled artifact."""
    return (Path(word).expanduser() / DESCRIPTION).is_file()


def open_package_at(word: str, trust: bool = False) -> Package:
    """The package that a folder or a reference names. Raises what opening it raises."""
    return open_reference(word, trust=trust)


def page_file(word: str) -> str:
    """A file that a page can be written to, said before the work that it shows. Raises ArgumentTypeError."""
    file = Path(word).expanduser().absolute()
    if file.is_dir():
        raise ArgumentTypeError(f"{word} is a folder; name a file in it, e.g. {file.name}/report.html")
    held = file if file.exists() else next(parent for parent in file.parents if parent.exists())
    if held != file and not held.is_dir():
        raise ArgumentTypeError(f"{word} cannot be written: {held} is no folder")
    if not os.access(held, os.W_OK):
        raise ArgumentTypeError(f"{word} cannot be written: {held} is read-only")
    return word
