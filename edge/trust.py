"""Whom a device believes: from the root that it was given to the index of one release, or a verdict why nothing is installed.

    trust = Trust(folder, root, "https://releases.example/")
    found = trust.refresh()                                  # Trusted, or Stopped
    offer = found.find("cell-inspector", "tflite")           # Offer, or Stopped

- Nothing here raises for what a mirror, a clock or a disk does: what runs goes on running, whatever the answer is.
- The Update Framework decides what is signed (https://theupdateframework.github.io/specification/); `trust_floor` keeps what
  must never go down where the client's own files are torn or gone.
- A device never accepts a lower sequence than it accepted before. Going back is a new sequence that holds the old release
  and says so (`rolls_back_to`), signed like any other: nobody who merely orders releases can bring an old fault back.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tuf.api.metadata import TargetFile

from ..sdk.core.errors import PortsideError
from ..sdk.core.release_index import ReleaseIndex, check_whole, index_path
from .mirror import Mirror
from .stopped import Reason, Stopped, stop
from .trust_client import OURS, Client, made_of, verdict
from .trust_floor import TOLERANCE_S, Floor, FloorFiles, Seen, check_clock

INDEX_BYTES = 32 << 20


@dataclass(frozen=True)
class Offer:
    """A release that this device may install.

    Attributes:
        index: its files and chunks, verified.
        expires: until when that may be believed, Unix seconds; a later installation asks again.
        made: when it was signed last, Unix seconds.
    """

    index: ReleaseIndex
    expires: int
    made: int


class Trust:
    """What a device believes. One at a time for a folder.

    Args:
        folder: what it remembers; made where it is not there.
        root: the anchor, as `portside sign init` wrote it; shipped with the device.
        mirror: makes the connection to the repository, anew for each refresh, so that its bounds begin with it; or its URL.
        clock: Unix seconds.
    """

    def __init__(self, folder: Path | str, root: bytes, mirror: Callable[[], Mirror] | str, clock: Callable[[], float] = time.time) -> None:
        self.folder, self._root, self.clock = Path(folder), root, clock
        self._mirror = (lambda: Mirror(mirror)) if isinstance(mirror, str) else mirror

    def refresh(self) -> Trusted | Stopped:
        """Ask the repository what is signed now. Never raises for what it answers."""
        try:
            return self._refresh()
        except Exception as error:  # recorded in the verdict: whatever this was, it must not end what runs
            return verdict(error)

    def standing(self, expires: int) -> Stopped | None:
        """Whether an offer may still be installed, without a network: None, or why not.

        Args:
            expires: of the offer.
        """
        try:
            floor, now = FloorFiles(self.folder).read(), self.clock()
            check_clock(floor, now)
            return None if now < expires else Stopped(Reason.EXPIRED, "The offer of this release has expired.")
        except Exception as error:
            return verdict(error)

    def _refresh(self) -> Trusted:
        self.folder.mkdir(parents=True, exist_ok=True)
        files, now = FloorFiles(self.folder), self.clock()
        floor = files.read()
        check_clock(floor, now)
        mirror = self._mirror()
        try:
            client = Client(self.folder / "metadata", self._root, mirror, now)
            check_clock(floor, now, made_of(client.root))
            client.refresh()
            check_clock(floor, now, client.made())
            seen = client.seen()
            if older := floor.below(seen):
                raise stop(Reason.ROLLBACK, f"What is offered is older than what was seen: {older}.")
            raised = floor.raised(seen, now)
            if raised.roles != floor.roles or raised.last_good > floor.last_good + TOLERANCE_S:
                raised = files.write(raised)
            return Trusted(client, mirror, files, raised)
        except BaseException:
            mirror.close()
            raise


@dataclass
class Trusted:
    """What is signed, as of one refresh. Close it, or use it in a `with`."""

    _client: Client = field(repr=False)
    _mirror: Mirror = field(repr=False)
    _files: FloorFiles = field(repr=False)
    _floor: Floor

    @property
    def mirror(self) -> Mirror:
        """The connection that was used, for `fetch`; its bounds go on."""
        return self._mirror

    @property
    def expires(self) -> int:
        """Until when all of it holds, Unix seconds."""
        return self._client.expires()

    def find(
        self, name: str, platform: str, *, sequence: int | None = None, release: str | None = None, installed: int = 0
    ) -> Offer | Stopped:
        """The release to install, with its index: verified, and from then on the least that this device accepts.

        Args:
            name: of the package.
            platform: e.g. "tflite".
            sequence: that one; None: the highest there is.
            release: the digest of that one, by its highest sequence.
            installed: the sequence that the device came with, which counts until it accepted one.
        """
        try:
            return self._find(name, platform, sequence, release, installed)
        except Exception as error:  # as in refresh
            return verdict(error)

    def sequences(self, name: str, platform: str) -> tuple[int, ...]:
        """Sequences that are signed for a platform, lowest first."""
        return tuple(sorted(self._listed(name, platform)))

    def close(self) -> None:
        """Let go of the connection."""
        self._mirror.close()

    def __enter__(self) -> Trusted:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _find(self, name: str, platform: str, sequence: int | None, release: str | None, installed: int) -> Offer:
        listed = self._listed(name, platform)
        fitting = [
            number for number, (_, custom) in listed.items() if sequence in (None, number) and release in (None, custom.get("release"))
        ]
        if not fitting:
            raise stop(Reason.MISSING, f"No such release of {name} is signed for {platform}.")
        number = max(fitting)
        lowest = self._lowest(f"{name}/{platform}", listed, installed)
        if number < lowest:
            raise stop(Reason.ROLLBACK, f"Release {number} of {name} is older than release {lowest}, which was accepted here.",
                       f"To go back, sign it again: portside sign publish --rolls-back-to {number}")  # fmt: skip
        index = self._index(*listed[number])
        self._accept(f"{name}/{platform}", index)
        return Offer(index, self._client.expires(), self._client.made())

    def _listed(self, name: str, platform: str) -> dict[int, tuple[TargetFile, dict[str, Any]]]:
        """By sequence: what the signed list says of this name and platform. Raises StopError where an entry lies under another's name."""
        held: dict[int, tuple[TargetFile, dict[str, Any]]] = {}
        folder = index_path(name, platform, 1).rpartition("/")[0] + "/"
        for path, target in self._client.targets.targets.items():
            if not path.startswith(folder) or "/" in path[len(folder) :]:
                continue
            custom = cast("dict[str, Any]", target.custom[OURS] if isinstance(target.custom, dict) and OURS in target.custom else {})
            number = custom.get("sequence")
            if not isinstance(number, int) or path != index_path(name, platform, number):
                raise stop(Reason.MALFORMED, f"The signed list has an entry that is no release: {path}.")
            if (custom.get("name"), custom.get("platform")) != (name, platform):
                raise stop(Reason.WRONG_SOFTWARE, f"{path} is signed as {custom.get('name')} for {custom.get('platform')}.")
            held[number] = (target, custom)
        return held

    def _lowest(self, place: str, listed: dict[int, tuple[TargetFile, dict[str, Any]]], installed: int) -> int:
        """The sequence below which nothing is accepted.

        What was accepted counts while the keys that signed it are the ones that may; with new keys, while they list it as well.
        """
        held = self._floor.releases.get(place)
        if held is None:
            return installed
        listed_still = held.number in listed and listed[held.number][1].get("release") == held.release
        return held.number if held.keys == self._floor.roles["targets"].keys or listed_still else 0

    def _index(self, target: TargetFile, custom: dict[str, Any]) -> ReleaseIndex:
        if target.length > INDEX_BYTES:
            raise stop(Reason.ENDLESS, f"An index of {target.length} bytes is too large for a device.")
        folder, _, name = target.path.rpartition("/")
        text = self._mirror.read(f"targets/{folder}/{target.hashes['sha256']}.{name}", target.length)
        target.verify_length_and_hashes(text)
        try:
            check_whole(custom, "The signed list")
            index = ReleaseIndex.from_bytes(text)
            index.chunks()
        except PortsideError as error:
            raise stop(Reason.MALFORMED, str(error), error.fix) from error
        if index.custom() != custom:
            raise stop(Reason.WRONG_SOFTWARE, f"{target.path} is the index of {index.name} {index.sequence} for {index.platform}.")
        return index

    def _accept(self, place: str, index: ReleaseIndex) -> None:
        seen = Seen(index.sequence, self._floor.roles["targets"].keys, index.release)
        if self._floor.releases.get(place) != seen:
            self._floor = self._files.write(self._floor.accepted(place, seen))
