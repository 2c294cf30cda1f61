"""The source of an installer that believes only what is signed: Trust finds the release, fetch brings it, a slot gets its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..sdk.core.errors import StoreError
from ..sdk.core.manifest import FileEntry
from .fetch import RESERVE_BYTES, Fetched, Progress, fetch, is_whole
from .files import PIECE
from .slot_index import ARTIFACT, SlotIndex
from .stopped import Stopped
from .trust import Offer, Trust
from .update_state import Wanted


@dataclass(frozen=True)
class Room:
    """What a release may take.

    Attributes:
        quota_bytes: how large it may be; None: as large as the disk.
        reserve_bytes: what stays free on the disk.
    """

    quota_bytes: int | None = None
    reserve_bytes: int = RESERVE_BYTES


class SignedSource:
    """Releases of one package for one platform, from a signed repository. An installer's `Source`.

    Args:
        trust: whom this device believes.
        folder: for what is on its way; it may be removed whenever nothing is.
        name: of the package.
        platform: of this device, e.g. "tflite".
        held: folders whose files may be what is missing, e.g. the slots.
        room: what a release may take.
        watch: told how far a fetch is.
    """

    def __init__(
        self, trust: Trust, folder: Path, name: str, platform: str, *,
        held: Callable[[], Sequence[Path]] = tuple, room: Room | None = None, watch: Callable[[Progress], None] | None = None,
    ) -> None:  # fmt: skip
        self.trust, self.folder, self.name, self.platform = trust, folder, name, platform
        self._held, self._room, self._watch = held, room or Room(), watch
        self._offers: dict[str, Offer] = {}

    def fetch(self, wanted: Wanted) -> None:
        """Get what is missing of a release. Raises what `Stopped.error` says."""
        found = self.trust.refresh()
        if isinstance(found, Stopped):
            raise found.error()
        with found:
            offer = found.find(self.name, self.platform, release=wanted.release)
            if isinstance(offer, Stopped):
                raise offer.error()
            self._tidy(wanted)
            got = fetch(offer.index, found.mirror, self._place(wanted), held=self._held(), quota_bytes=self._room.quota_bytes,
                        reserve_bytes=self._room.reserve_bytes, watch=self._watch)  # fmt: skip
        if not isinstance(got, Fetched):
            raise got.error()
        self._offers = {wanted.release: offer}

    def verify(self, wanted: Wanted) -> None:
        """Every file is the signed one, and the signatures still hold. Raises StoreError where it is to be fetched again."""
        offer = self._offer(wanted)
        if stopped := self.trust.standing(offer.expires):
            raise stopped.error()
        if not is_whole(offer.index, self._place(wanted)):
            raise StoreError("What was fetched is not whole any more", got=str(self._place(wanted)))

    def index(self, wanted: Wanted) -> SlotIndex:
        """What a slot of the release holds. Raises StoreError where it is to be fetched again."""
        files = self._offer(wanted).index.files
        return SlotIndex(wanted, self.name, {f"{ARTIFACT}/{file.path}": FileEntry(file.sha256, file.size) for file in files})

    def read(self, wanted: Wanted, name: str) -> Iterator[bytes]:
        """The bytes of a file of the index. Raises OSError."""
        with (self._place(wanted) / name.removeprefix(f"{ARTIFACT}/")).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def forget(self) -> None:
        """Remove what was fetched: it lies in a slot now."""
        self._offers = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _offer(self, wanted: Wanted) -> Offer:
        if wanted.release not in self._offers:
            raise StoreError("This release is not fetched", got=wanted.release)
        return self._offers[wanted.release]

    def _place(self, wanted: Wanted) -> Path:
        return self.folder / wanted.release.removeprefix("sha256:")

    def _tidy(self, wanted: Wanted) -> None:
        """Only one release is on its way."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self._place(wanted).name
        for path in self.folder.iterdir():
            if path.name not in (place, f"{place}.partial"):
                with suppress(OSError):
                    shutil.rmtree(path)
