"""What is in a slot: the release and the sha256 of every file, sealed; the file by which a slot proves that it is whole.

    release.json      this index
    artifact/         the compiled artifact of the release for this platform, as `load` opens it

An artifact stands alone (its codec and contract travel inside it), so a slot needs nothing of the package. The seal catches
accidents; that the release is the right one was the signature's to say, before anything was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..sdk.core.canonical import check_digest, digest_of, read_object
from ..sdk.core.errors import FormatError, IntegrityError
from ..sdk.core.folder import check_path, check_paths
from ..sdk.core.manifest import FileEntry
from .files import Files, read_whole, walk
from .update_state import Wanted

INDEX = "release.json"
ARTIFACT = "artifact"
SLOT_FORMAT = 1
MOST_BYTES = 16 << 20
"""An index is smaller than this."""


@dataclass(frozen=True)
class SlotIndex:
    """What a slot holds.

    Attributes:
        wanted: the release and the wish that brought it here.
        name: of the package, for people.
        files: path below the slot ("artifact/...") -> entry.
    """

    wanted: Wanted
    name: str
    files: Mapping[str, FileEntry] = field(default_factory=dict[str, FileEntry])

    def __post_init__(self) -> None:
        check_digest(self.wanted.release, "A release")
        for name in self.files:
            check_path(name, (ARTIFACT,))
        check_paths(self.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    def to_bytes(self) -> bytes:
        """JSON with its seal."""
        data: dict[str, Any] = {
            "format": SLOT_FORMAT, "release": self.wanted.release, "sequence": self.wanted.sequence, "name": self.name,
            "files": {name: entry.to_dict() for name, entry in sorted(self.files.items())},
        }  # fmt: skip
        return json.dumps({**data, "seal": digest_of(data)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> SlotIndex:
        """Parse. Raises FormatError, and IntegrityError where the seal is broken."""
        data = read_object(text, INDEX)
        if data.pop("seal", None) != digest_of(data):
            raise IntegrityError(f"{INDEX} was changed after it was written", fix="The release is fetched again when it is next wanted.")
        if data.get("format") != SLOT_FORMAT:
            raise FormatError("The slot has an unknown format version", got=data.get("format"), expected=SLOT_FORMAT)
        try:
            wanted = Wanted(data["release"], int(data["sequence"]))
            return cls(wanted, str(data["name"]), {name: FileEntry.from_dict(entry) for name, entry in data["files"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{INDEX} is malformed: {error!r}") from error


def read_index(files: Files, slot: Path) -> SlotIndex:
    """The index of a slot, without a look at its files. Raises OSError, FormatError, IntegrityError."""
    return SlotIndex.from_bytes(read_whole(files, slot / INDEX, MOST_BYTES))


def prove(files: Files, slot: Path) -> SlotIndex:
    """The index of a slot, after every file was read and compared with it.

    Raises OSError and FormatError as `read_index`, and IntegrityError: a file is missing, has other bytes, or is not listed.
    """
    index = read_index(files, slot)
    present = {name for name in walk(files, slot) if name != INDEX}
    if odd := sorted(present ^ set(index.files)):
        raise IntegrityError("A slot does not hold the files that it lists", got=odd[0])
    for name, entry in index.files.items():
        if entry_of(files, slot / name) != entry:
            raise IntegrityError(f"{name} was changed after it was written to its slot")
    return index


def entry_of(files: Files, path: Path) -> FileEntry:
    """sha256 and size of a file. Raises OSError."""
    hasher, size = hashlib.sha256(), 0
    for piece in files.read(path):
        hasher.update(piece)
        size += len(piece)
    return FileEntry(hasher.hexdigest(), size)
