"""What stands where a command points: an artifact folder, a package folder, or a name in the store."""

from __future__ import annotations

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
