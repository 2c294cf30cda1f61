"""A recipe that goes on where it was killed: finished passes are packages in a folder, training under way has its checkpoints there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..sdk.core.canonical import digest_of
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest, slices_digest
from ..sdk.core.errors import PortsideError, StoreError
from ..sdk.core.package import Package, open_folder
from .base import Pass

CHECKPOINTS = "training"


@dataclass(frozen=True)
class Kept:
    """What a folder keeps of a recipe that runs; nothing where there is no folder.

    Attributes:
        folder: of the user's; None: none.
        data: rows of the passes.
        seed: of everything random.
        origin: digest of the package that the recipe began with, which passes may learn from.
    """

    folder: Path | None
    data: Data
    seed: int
    origin: str = ""

    @property
    def checkpoints(self) -> Path | None:
        """Where passes that train keep their state."""
        return None if self.folder is None else self.folder / CHECKPOINTS

    def place(self, package: Package, step: Pass) -> Path | None:
        """The folder of what `step` makes of `package`; another package, pass, data, seed or origin has another."""
        if self.folder is None:
            return None
        whole = {"package": package.digest, "pass": dict(step.to_dict()), "data": data_digest(self.data),
                 "slices": slices_digest(self.data), "seed": self.seed, "origin": self.origin}  # fmt: skip
        if reads := getattr(step, "reads", None):  # what is behind names that its `to_dict` has
            whole["reads"] = reads
        return self.folder / f"{step.kind}-{digest_of(whole).removeprefix('sha256:')[:24]}"

    def found(self, place: Path | None, trusted: bool) -> Package | None:
        """What was made there before; None where nothing was. Raises StoreError for a damaged one."""
        if place is None or not place.is_dir():
            return None
        try:
            return open_folder(place, trust=trusted)
        except PortsideError as error:
            raise StoreError("A pass that was kept is damaged", got=str(error), fix=f"Remove {place}: its pass runs again.") from error
