"""Sessions for commands: an artifact as it is, a package on the reference runtime or compiled for a target."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from ...runtimes.artifact import Artifact, open_artifact
from ...runtimes.base import Session
from ...runtimes.compiling import compile as compile_package
from ...runtimes.loading import load
from ..core.package import Package
from .console import progress
from .places import is_artifact, open_package_at

Model: TypeAlias = Package | Artifact


def open_model(word: str, trust: bool = False) -> Model:
    """The artifact or package behind a word of the command line. Raises what opening it raises."""
    return open_artifact(Path(word).expanduser()) if is_artifact(word) else open_package_at(word, trust)


@contextmanager
def compiled(model: Model, target: str) -> Generator[Artifact]:
    """The model as an artifact: itself, or compiled for `target` into a folder that lasts for the block."""
    if isinstance(model, Artifact):
        yield model
        return
    progress(f"compiling {model.name} for {target} ...")
    with TemporaryDirectory(prefix="portside-") as folder:
        yield compile_package(model, target=target, out=Path(folder) / "artifact")


@contextmanager
def session(model: Model, target: str, trust: bool = False) -> Generator[Session]:
    """A session on the model, closed at the end of the block."""
    with compiled(model, target) as artifact:
        opened = load(artifact, trust=trust)
        try:
            yield opened
        finally:
            opened.close()
