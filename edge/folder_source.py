"""A release from a folder: an artifact on a stick, or in the image that a device is delivered with. No network, and no signature:
whoever may write there decides what runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..runtimes.artifact import DESCRIPTION, open_artifact
from ..sdk.core.errors import StoreError
from .files import OsFiles
from .slot_index import ARTIFACT, SlotIndex, entry_of
from .update_state import Wanted


class FolderSource:
    """One artifact folder as an installer's `Source`.

    Args:
        folder: the artifact.
        sequence: place of this wish: above the ones before.
    """

    def __init__(self, folder: Path, sequence: int) -> None:
        self.folder = folder
        self.wanted = Wanted(open_artifact(folder).digest, sequence)

    def fetch(self, wanted: Wanted) -> None:
        """It is here. Raises StoreError for another release."""
        if wanted != self.wanted:
            raise StoreError("This folder holds another release", got=self.wanted.release, expected=wanted.release)

    def verify(self, wanted: Wanted) -> None:
        """The artifact is what it says. Raises FormatError, IntegrityError."""
        open_artifact(self.folder, wanted.release)

    def index(self, wanted: Wanted) -> SlotIndex:
        """Its files. Raises FormatError, IntegrityError, OSError."""
        artifact = open_artifact(self.folder, wanted.release)
        files = {f"{ARTIFACT}/{name}": entry for name, entry in artifact.files.items()}
        described = entry_of(OsFiles(), self.folder / DESCRIPTION)
        return SlotIndex(wanted, artifact.name, {**files, f"{ARTIFACT}/{DESCRIPTION}": described})

    def read(self, wanted: Wanted, name: str) -> Iterator[bytes]:
        """The bytes of a file. Raises OSError."""
        return OsFiles().read(self.folder / name.removeprefix(f"{ARTIFACT}/"))
