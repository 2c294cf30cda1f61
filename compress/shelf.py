"""Packages of a search's structures: each pass runs once, and is found again by whoever needs what it made, also after a kill."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from ..sdk.core.data import Data
from ..sdk.core.errors import StoreError
from ..sdk.core.package import Package
from ..sdk.core.temporary import temporary_folder
from .base import Pass, PassContext
from .recipe import Recipe
from .resuming import Kept
from .structures import Structure

FOLDER, HALF = "structures", ".making-"
"""In the folder of a search: finished passes, and the checkpoints of training; what is being made."""
Progress = Callable[[int, int, str], None]


class Unfinished(Exception):
    """A training did not come to its end before the deadline; its checkpoints are kept, a package is not."""


class Shelf:
    """Makes packages of structures from one package.

    Args:
        source: float; with trust where passes train.
        train: rows that passes learn from.
        seed: of everything random.
        folder: of the search; None: a temporary one, which lives as long as this.
        passes: structure, trained in full -> its passes, where data alone does not say them (a student that is at hand).
    """

    def __init__(self, source: Package, train: Data, seed: int, folder: Path | None,
                 passes: Mapping[Structure, Sequence[Pass]] | None = None) -> None:  # fmt: skip
        self.source, self.train, self._seed, self._passes = source, train, seed, passes or {}
        if folder is None:
            made = mkdtemp(prefix="portside-structures-")
            weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
            folder = Path(made)
        self._folder = folder / FOLDER
        self._kept = Kept(self._folder, train, seed, source.digest)

    def make(self, structure: Structure, deadline: float | None = None, progress: Progress = lambda done, of, what: None) -> Package:
        """The float package of a structure.

        Raises:
            Unfinished: the deadline came first.
            PortsideError: what a pass cannot do to the package.
            StoreError: what was kept is damaged, or the folder cannot be written.
        """
        made = self.source
        for step in self._steps(structure):
            place = self._kept.place(made, step)
            made = self._kept.found(place, self.source.trusted) or self._run(step, made, cast("Path", place), deadline, progress)
        return made

    def tidy(self) -> None:
        """Remove what a search that was killed had half made; for whoever holds the folder's lock."""
        for half in self._folder.glob(f"{HALF}*"):
            shutil.rmtree(half, ignore_errors=True)

    def _steps(self, structure: Structure) -> Sequence[Pass]:
        found = self._passes.get(structure.at(1.0)) or Recipe.from_dict({"pass": list(structure.steps)}).passes
        return [shortened(step, structure.share) for step in found]

    def _run(self, step: Pass, package: Package, place: Path, deadline: float | None, progress: Progress) -> Package:
        """Make a package beside its place, and move it there whole."""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with temporary_folder(HALF, place.parent) as work:
                context = PassContext(work / "made", self._seed, deadline, progress, self._kept.checkpoints, self.source)
                made = step.run(package, self.train, context)
                if context.late:
                    raise Unfinished
                made.path.rename(place)
        except OSError as error:
            raise StoreError("A structure cannot be kept", got=f"{place}: {error.strerror}") from error
        return cast("Package", self._kept.found(place, self.source.trusted))


def shortened(step: Pass, share: float) -> Pass:
    """The pass with this share of its epochs."""
    epochs = getattr(step, "epochs", None)
    return step if not epochs or share == 1 else cast("Pass", replace(cast("Any", step), epochs=epochs * share))
