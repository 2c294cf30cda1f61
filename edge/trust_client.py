"""python-tuf's client, as a device needs it: our bounded downloads, a clock that is a parameter, and verdicts for errors."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Root, Signed, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from .mirror import HttpError, Mirror
from .stopped import Reason, StopError, Stopped, stop
from .trust_floor import Seen, fingerprint

OURS = "x-portside"
CONFIG = UpdaterConfig(max_root_rotations=64, snapshot_max_length=1 << 20, targets_max_length=8 << 20)
_KINDS: tuple[tuple[type[Exception], Reason, str], ...] = (
    (ExpiredMetadataError, Reason.EXPIRED, "What is signed is too old"),
    (BadVersionNumberError, Reason.ROLLBACK, "What is offered is older than what was seen"),
    (LengthOrHashMismatchError, Reason.MISMATCH, "What is offered does not belong together"),
    (UnsignedMetadataError, Reason.UNTRUSTED, "Too few of the keys that may have signed this"),
    (DownloadHTTPError, Reason.OFFLINE, "The repository is not there"),
    (DownloadError, Reason.OFFLINE, "The repository cannot be read"),
    (RepositoryError, Reason.MALFORMED, "What is offered is not what a repository holds"),
)


class BoundedFetcher(FetcherInterface):
    """Downloads of the client through a Mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def _fetch(self, url: str) -> Iterator[bytes]:
        with closing(self._mirror.open(url, CONFIG.targets_max_length).pieces) as pieces:
            yield from pieces

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """In memory: documents are small. Raises DownloadHTTPError, StopError."""
        try:
            return self._mirror.read(url, max_length)
        except HttpError as error:
            raise DownloadHTTPError(error.stopped.what, error.status) from error


class Client:
    """One refresh: the signed documents, verified, as of a moment.

    Args:
        folder: the client's own copies; made anew where it is damaged.
        root: the anchor that was shipped with the device.
        mirror: where from.
        now: Unix seconds.

    Raises StopError where the anchor or the folder cannot be used.
    """

    def __init__(self, folder: Path, root: bytes, mirror: Mirror, now: float) -> None:
        self._mirror = mirror
        try:
            self._updater = _updater(folder, root, mirror)
        except OSError:  # a folder where a file should be, links that lead nowhere: copies, so they can be had again
            shutil.rmtree(folder, ignore_errors=True)
            self._updater = _updater(folder, root, mirror)
        self._trusted._trusted_set  # noqa: B018 - tuf of another version: fail here, not in the middle
        self._trusted.reference_time = datetime.fromtimestamp(int(now), UTC)

    @property
    def _trusted(self) -> Any:
        return cast("Any", self._updater)._trusted_set

    @property
    def root(self) -> Root:
        """The newest root so far."""
        return cast("Root", self._trusted.root)

    @property
    def targets(self) -> Targets:
        """The list of releases, once refreshed."""
        return cast("Targets", self._trusted.targets)

    def refresh(self) -> None:
        """Root, timestamp, snapshot, targets. Raises what python-tuf raises, StopError, OSError."""
        self._updater.refresh()

    def seen(self) -> dict[str, Seen]:
        """Versions of the four roles, with who vouches for them."""
        held: dict[str, Seen] = {}
        for signed in self._documents():
            role = self.root.roles[signed.type]
            held[signed.type] = Seen(signed.version, fingerprint(role.keyids, role.threshold))
        return held

    def expires(self) -> int:
        """Until when all of it holds, Unix seconds."""
        return int(min(signed.expires for signed in self._documents()).timestamp())

    def made(self) -> int:
        """When the latest of the documents was made, Unix seconds; 0: none says so."""
        return max((made_of(signed) for signed in self._documents()), default=0)

    def _documents(self) -> tuple[Signed, ...]:
        return (self.root, self._trusted.timestamp, self._trusted.snapshot, self._trusted.targets)


def made_of(signed: Signed) -> int:
    """When a document was made, Unix seconds, as it says itself; 0: it does not."""
    ours = signed.unrecognized_fields.get(OURS)
    value = cast("dict[str, Any]", ours).get("made") if isinstance(ours, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def verdict(error: Exception) -> Stopped:
    """Why nothing is installed, from whatever was raised on the way."""
    if isinstance(error, StopError):
        return error.stopped
    for kind, reason, what in _KINDS:
        if isinstance(error, kind):
            return Stopped(reason, f"{what}: {error}.".replace("..", "."))
    if isinstance(error, OSError):
        return Stopped(Reason.NO_SPACE, f"What is signed cannot be kept on this device: {error.strerror or error}.", "Free some space.")
    return Stopped(Reason.MALFORMED, f"What is offered could not be understood: {type(error).__name__}: {error}.")


def _updater(folder: Path, root: bytes, mirror: Mirror) -> Updater:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Updater(str(folder), f"{mirror.url}metadata/", fetcher=BoundedFetcher(mirror), config=CONFIG, bootstrap=root)
    except RepositoryError as error:
        raise stop(Reason.UNTRUSTED, f"The root that this device was given does not verify: {error}.",
                   "Give it the root that portside sign init wrote.") from error  # fmt: skip
