"""`publish`: a release of a store becomes signed indexes, one per platform, and chunks, in a repository that a web server hands out."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.metadata import TargetFile, Targets

from ..core.errors import FormatError, StoreError
from ..core.release import Release, ReleasePart
from ..core.release_index import CHUNK_BYTES, ReleaseIndex, platform_of
from ..core.replacing import replace_file
from ..store import Store
from ..store_reference import check_name
from .chunks import put_files
from .repository import Repository
from .roles import OURS


@dataclass(frozen=True)
class Published:
    """One index of a repository, as its signed metadata describe it.

    Attributes:
        path: of the index.
        custom: name, platform, target, sequence, digests, size in bytes.
    """

    path: str
    custom: Mapping[str, Any]

    @property
    def sequence(self) -> int:
        """Counts the releases of a name."""
        return int(self.custom["sequence"])


def publish(
    repository: Repository, store: Store, ref: str, signers: Sequence[Signer], *,
    digest: str | None = None, platforms: Sequence[str] = (), rolls_back_to: int | None = None, chunk_bytes: int = CHUNK_BYTES,
) -> tuple[ReleaseIndex, ...]:  # fmt: skip
    """Sign a release of a store for its platforms.

    Args:
        repository: where to.
        store: where from; every byte is compared with its digest on the way.
        ref: the package.
        signers: of targets, snapshot and timestamp.
        digest: which release; default the newest.
        platforms: e.g. "tflite"; default every one of the release.
        rolls_back_to: the sequence whose release this is again. A device never goes to a lower sequence, so going back is a
            higher one that says so; its chunks are there already.
        chunk_bytes: how large a chunk is.

    Raises:
        StoreError: no such release, or platform.
        FormatError: a release that was published before, without `rolls_back_to`; or that is not the one of that sequence.
        TrustError: too few keys.
    """
    release = store.release(ref, digest)
    parts = _chosen(release, platforms)
    with tempfile.TemporaryDirectory(prefix="portside-publish-") as folder:
        folders: dict[str, Path] = {}
        for platform, part in parts.items():
            folders[platform] = store.pull_artifact(ref, part.target, Path(folder) / platform, part.platform, release.digest)
        return publish_folders(repository, release, folders, signers, rolls_back_to=rolls_back_to, chunk_bytes=chunk_bytes)


def publish_folders(
    repository: Repository, release: Release, folders: Mapping[str, Path], signers: Sequence[Signer], *,
    rolls_back_to: int | None = None, chunk_bytes: int = CHUNK_BYTES,
) -> tuple[ReleaseIndex, ...]:  # fmt: skip
    """As `publish`, from folders of artifacts by platform that the caller has checked."""
    check_name(release.name)
    parts = _chosen(release, tuple(folders))
    with repository.writing():
        listed = repository.state().targets.signed
    held = published(listed, release.name)
    sequence = max([*(item.sequence for item in held), _withdrawn(listed).get(release.name, 0)]) + 1
    _check_history(held, release, tuple(folders), rolls_back_to)
    made = tuple(
        ReleaseIndex(release.name, platform, part.target, sequence, release.digest, release.package, part.artifact,
                     put_files(folders[platform], repository.path, chunk_bytes), chunk_bytes, rolls_back_to)
        for platform, part in parts.items()
    )  # fmt: skip
    targets = [_put_index(repository.path, index) for index in made]

    def add(signed: Targets) -> None:
        if taken := [item.sequence for item in published(signed, release.name) if item.sequence >= sequence]:
            raise StoreError("Somebody published another release of this name meanwhile", got=f"sequence {taken[0]}", fix="Publish again.")
        signed.targets.update({target.path: target for target in targets})

    repository.change(add, signers)
    return made


def withdraw(repository: Repository, name: str, sequence: int, signers: Sequence[Signer], *, reuse: bool = False) -> tuple[str, ...]:
    """Take a release off the signed list; devices that have it keep it. Returns its paths.

    Args:
        repository: which.
        name: of the package.
        sequence: which release of it.
        signers: of targets, snapshot and timestamp.
        reuse: the number may be given out again, because it was a thief's, and far ahead.

    Raises StoreError where it is not listed, TrustError.
    """
    taken: list[str] = []

    def remove(signed: Targets) -> None:
        taken.extend(item.path for item in published(signed, name) if item.sequence == sequence)
        if not taken:
            raise StoreError(f"No release {sequence} of {name} is signed", fix="Run: portside sign status FOLDER")
        for path in taken:
            del signed.targets[path]
        if not reuse:
            marks = _withdrawn(signed)
            ours = signed.unrecognized_fields.get(OURS, {})
            signed.unrecognized_fields[OURS] = {**ours, "withdrawn": {**marks, name: max(sequence, marks.get(name, 0))}}

    repository.change(remove, signers)
    return tuple(taken)


def _withdrawn(targets: Targets) -> dict[str, int]:
    """By name the highest sequence that was withdrawn: it is not given out again."""
    return dict(targets.unrecognized_fields.get(OURS, {}).get("withdrawn", {}))


def published(targets: Targets, name: str | None = None) -> tuple[Published, ...]:
    """Every index of a list of targets, by name and sequence; of one name, if given."""
    held = [Published(path, target.custom[OURS]) for path, target in targets.targets.items() if target.custom and OURS in target.custom]
    chosen = [item for item in held if name in (None, item.custom["name"])]
    return tuple(sorted(chosen, key=lambda item: (item.custom["name"], item.sequence, item.custom["platform"])))


def _chosen(release: Release, platforms: Sequence[str]) -> dict[str, ReleasePart]:
    held = {platform_of(part): part for part in release.parts}
    if unknown := sorted(set(platforms) - set(held)):
        raise StoreError(f"The release of {release.name!r} has nothing for {unknown[0]}", expected=", ".join(held))
    return {platform: part for platform, part in held.items() if not platforms or platform in platforms}


def _check_history(held: Sequence[Published], release: Release, platforms: Sequence[str], rolls_back_to: int | None) -> None:
    """A release gets a second number only as a rollback that says so; and a rollback is to what was there."""
    before = [item for item in held if item.custom["release"] == release.digest and item.custom["platform"] in platforms]
    if rolls_back_to is None and before:
        raise FormatError("This release was published before", got=f"sequence {before[-1].sequence}",
                          fix=f"To go back to it: --rolls-back-to {before[-1].sequence}")  # fmt: skip
    if rolls_back_to is not None and {item.custom["platform"] for item in before if item.sequence == rolls_back_to} != set(platforms):
        raise FormatError("That sequence is not of this release on these platforms", got=rolls_back_to,
                          expected=", ".join(str(item.sequence) for item in before) or "a release that was published before")  # fmt: skip


def _put_index(repository: Path, index: ReleaseIndex) -> TargetFile:
    """Write an index where every client of TUF looks: its sha256 stands before its name."""
    text = index.to_bytes()
    target = TargetFile.from_data(index.path, text, ["sha256"])
    target.unrecognized_fields["custom"] = {OURS: index.custom()}
    folder, _, name = index.path.rpartition("/")
    place = repository / "targets" / folder / f"{target.hashes['sha256']}.{name}"
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_file(place, text)
    return target
