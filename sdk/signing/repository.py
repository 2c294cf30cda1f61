"""A TUF repository in a folder that any web server can hand out as it is.

    metadata/   N.root.json, N.targets.json, N.snapshot.json, timestamp.json
    targets/    releases/<name>/<platform>/<sha256>.<n>.index.json
    chunks/     ab/<sha256>
    .staged/    a root that waits for signatures; not for the web server, and harmless there

What a reader may see changes in one step: `timestamp.json` is replaced last, and names everything else. A process killed
before that has changed nothing that anybody reads.
"""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from ..core.errors import FormatError, IntegrityError, StoreError
from ..core.replacing import replace_file
from .roles import DAYS, THRESHOLDS, T, date, days_of, first_root, made, read_signed, sign

if sys.platform != "win32":
    import fcntl

_RENEW = 0.5
"""A document is signed anew once less than this part of its time is left."""


@dataclass(frozen=True)
class State:
    """What a repository says now: the newest root, and the documents that its timestamp names."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]


class Repository:
    """A repository.

    Args:
        path: its folder.
        clock: Unix seconds.
    """

    def __init__(self, path: Path | str, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path).expanduser().absolute()
        self.metadata = self.path / "metadata"
        self.clock = clock

    def create(
        self, keys: Mapping[str, Sequence[Key]], signers: Sequence[Signer],
        thresholds: Mapping[str, int] = THRESHOLDS, days: Mapping[str, int] = DAYS,
    ) -> bytes:  # fmt: skip
        """Make the folder and sign an empty list of releases. Returns the root, which devices are given as their anchor.

        Args:
            keys: public keys by role.
            signers: of every role, as many as its threshold.
            thresholds: by role; a role that is left out keeps its default.
            days: by role, likewise.

        Raises TrustError below a threshold, StoreError where a repository is there, FormatError.
        """
        if any(self.metadata.glob("*.json")):
            raise StoreError("A repository is there already", got=str(self.path), fix="Use another folder, or portside sign rotate.")
        now = self.clock()
        root = first_root(keys, {**THRESHOLDS, **thresholds}, {**DAYS, **days}, now)
        text = sign(root, root.signed, signers)
        said = days_of(root.signed)
        targets = Metadata(date(Targets(), said["targets"], now))
        self._prove(root.signed, signers)
        for folder in (self.metadata, self.path / "targets", self.path / "chunks"):
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.metadata / "1.root.json", text)
        self._write(root.signed, targets, Metadata(Snapshot()), Metadata(Timestamp()), signers)
        return text

    def root(self, version: int | None = None) -> Metadata[Root]:
        """The newest root, or that of a version. Raises StoreError where there is no repository, IntegrityError."""
        versions = [int(file.name.split(".")[0]) for file in self.metadata.glob("*.root.json") if file.name.split(".")[0].isdigit()]
        if not versions:
            raise StoreError("There is no repository here", got=str(self.path), fix="Make one: portside sign init FOLDER ...")
        return self._read(f"{version or max(versions)}.root.json", Root)

    def state(self, by: Root | None = None) -> State:
        """What readers see, signed by the keys of the newest root or of `by`. Raises StoreError, IntegrityError."""
        root = self.root()
        by = by or root.signed
        timestamp = self._read("timestamp.json", Timestamp, by)
        snapshot = self._read(f"{timestamp.signed.snapshot_meta.version}.snapshot.json", Snapshot, by)
        targets = self._read(f"{snapshot.signed.meta['targets.json'].version}.targets.json", Targets, by)
        return State(root, timestamp, snapshot, targets)

    def change(self, change: Callable[[Targets], None], signers: Sequence[Signer]) -> State:
        """Change the list of releases and sign it, the snapshot and the timestamp. Raises TrustError, IntegrityError, OSError."""
        with self.writing():
            held = self.state()
            change(held.targets.signed)
            held.targets.signed.version += 1
            date(held.targets.signed, days_of(held.root.signed)["targets"], self.clock())
            return self._write(held.root.signed, held.targets, held.snapshot, held.timestamp, signers)

    def renew(self, signers: Sequence[Signer]) -> tuple[str, ...]:
        """Sign the timestamp anew, and the snapshot and targets where half their time is over. Returns the roles that were signed.

        To be run from a timer more often than the timestamp's days. Raises TrustError where a key that is needed is not given.
        """
        with self.writing():
            held, now = self.state(), self.clock()
            said = days_of(held.root.signed)
            old = [role for role, document in (("targets", held.targets), ("snapshot", held.snapshot))
                   if document.signed.expires.timestamp() - now < _RENEW * said[role] * 86_400]  # fmt: skip
            if "targets" in old:
                held.targets.signed.version += 1
                date(held.targets.signed, said["targets"], now)
            self._write(held.root.signed, held.targets, held.snapshot, held.timestamp, signers, again=("timestamp", *old))
        return ("timestamp", *(["snapshot"] if old else []), *(["targets"] if "targets" in old else []))

    def resign(self, root: Root, roles: Sequence[str], signers: Sequence[Signer], before: State) -> None:
        """Sign documents under a new root. The caller holds the lock, and writes that root first."""
        now, said = self.clock(), days_of(root)
        if "targets" in roles:
            before.targets.signed.version += 1
            date(before.targets.signed, said["targets"], now)
        self._write(root, before.targets, before.snapshot, before.timestamp, signers, again=roles)

    def _prove(self, root: Root, signers: Sequence[Signer]) -> None:
        """Every role can be signed, before anything is written."""
        for metadata in (Metadata(Targets()), Metadata(Snapshot()), Metadata(Timestamp())):
            sign(metadata, root, signers)

    def _write(
        self, root: Root, targets: Metadata[Targets], snapshot: Metadata[Snapshot], timestamp: Metadata[Timestamp],
        signers: Sequence[Signer], again: Sequence[str] = ("targets", "snapshot", "timestamp"),
    ) -> State:  # fmt: skip
        """Sign and write, the timestamp last. Versions of snapshot and timestamp count up where they are signed."""
        now, said = self.clock(), days_of(root)
        texts: dict[str, bytes] = {}
        if "targets" in again:
            texts[f"{targets.signed.version}.targets.json"] = text = sign(targets, root, signers)
            snapshot.signed.meta["targets.json"] = MetaFile.from_data(targets.signed.version, text, ["sha256"])
        if "targets" in again or "snapshot" in again:
            _count(snapshot)
            date(snapshot.signed, said["snapshot"], now)
            texts[f"{snapshot.signed.version}.snapshot.json"] = text = sign(snapshot, root, signers)
            timestamp.signed.snapshot_meta = MetaFile.from_data(snapshot.signed.version, text, ["sha256"])
        _count(timestamp)
        date(timestamp.signed, said["timestamp"], now)
        texts["timestamp.json"] = sign(timestamp, root, signers)
        for name, text in texts.items():
            replace_file(self.metadata / name, text)
        return State(self.root(), timestamp, snapshot, targets)

    def _read(self, name: str, kind: type[T], root: Root | None = None) -> Metadata[T]:
        try:
            data = (self.metadata / name).read_bytes()
        except OSError as error:
            raise IntegrityError(f"A document of the repository cannot be read: {error.strerror}", got=name,
                                 fix="Restore the repository from where it came.") from error  # fmt: skip
        return read_signed(data, kind, root)

    @contextmanager
    def writing(self) -> Generator[None]:
        """One writer at a time. Raises StoreError where there is no repository."""
        if not self.metadata.is_dir():
            raise StoreError("There is no repository here", got=str(self.path), fix="Make one: portside sign init FOLDER ...")
        with (self.path / ".lock").open("w") as lock:
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def summary(state: State, now: float) -> list[dict[str, Any]]:
    """By role: version, keys, threshold, when it was made and ends; what `status` prints."""
    rows: list[dict[str, Any]] = []
    documents: tuple[Metadata[Any], ...] = (state.root, state.targets, state.snapshot, state.timestamp)
    for document in documents:
        signed = document.signed
        role = state.root.signed.roles[signed.type]
        rows.append({
            "role": signed.type, "version": signed.version, "keys": list(role.keyids), "threshold": role.threshold,
            "made": made(signed), "expires": int(signed.expires.timestamp()),
            "days_left": int((signed.expires.timestamp() - now) // 86_400),
        })  # fmt: skip
    return rows


def parse_days(words: Sequence[str]) -> dict[str, int]:
    """`timestamp=3` as numbers by role. Raises FormatError."""
    held: dict[str, int] = {}
    for word in words:
        role, _, number = word.partition("=")
        if role not in DAYS or not number.isdigit():
            raise FormatError("This is no number for a role", got=word, expected=f"ROLE=N with a role of {', '.join(DAYS)}")
        held[role] = int(number)
    return held


def _count(metadata: Metadata[Any]) -> None:
    """The next version, of a document that was signed before; a new one keeps its first."""
    if metadata.signatures:
        metadata.signed.version += 1
