"""The files of a release on this device: chunks that are here already stay here, the others come, and a cut costs little.

Files grow in `<out>.partial`, each chunk at its own place. Nothing there is believed: what an earlier attempt left, what the
running slot holds and what a mirror sends is all hashed before it counts. The one chunk that is on its way lies in `incoming`,
so that a server with ranges goes on in the middle of it. Only a folder whose every file has its sha256, on the disk, is
renamed to `out`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..sdk.core.folder import entry_of, sync_folder, sync_tree, walk
from ..sdk.core.release_index import ReleaseIndex, chunk_path
from .mirror import Mirror
from .stopped import Reason, StopError, Stopped, stop

INCOMING = "incoming"
RESERVE_BYTES = 16 << 20
"""Left free on the disk for everybody else."""
_SYNC_BYTES = 8 << 20


@dataclass(frozen=True)
class Progress:
    """How far a fetch is; bytes of distinct chunks.

    Attributes:
        total: of the release.
        kept: here from an earlier attempt.
        reused: taken from folders that are here.
        fetched: came over the network and were right.
        received: came over the network at all.
    """

    total: int
    kept: int = 0
    reused: int = 0
    fetched: int = 0
    received: int = 0

    @property
    def done(self) -> int:
        """Bytes that are in their place."""
        return self.kept + self.reused + self.fetched

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.__dict__, "done": self.done}


@dataclass(frozen=True)
class Fetched:
    """A release, whole.

    Attributes:
        path: its folder.
        progress: what it took.
    """

    path: Path
    progress: Progress


def fetch(
    index: ReleaseIndex, mirror: Mirror, out: Path, *,
    held: Sequence[Path] = (), quota_bytes: int | None = None, reserve_bytes: int = RESERVE_BYTES,
    watch: Callable[[Progress], None] | None = None,
) -> Fetched | Stopped:  # fmt: skip
    """Bring the files of an index into a folder, going on where an earlier attempt for the same index stopped.

    Args:
        index: verified, from `Trusted.find`.
        mirror: where chunks come from; its bounds and its `cancelled` end an attempt.
        out: the folder, in one that exists; where it is there and whole, nothing is done.
        held: folders with files of other releases, e.g. the running slot: only read.
        quota_bytes: how large the release may be.
        reserve_bytes: what stays free on the disk.
        watch: told after each chunk; it must be quick.
    """
    partial = out.with_name(out.name + ".partial")
    try:
        if out.is_dir() and is_whole(index, out):
            total = sum(index.chunks().values())
            return Fetched(out, Progress(total, kept=total))
        _check_quota(index, quota_bytes)
        work = _Work(index, partial, mirror, watch or _nobody)
        work.prepare()
        work.keep()
        _check_space(partial, sum(size * len(work.places[chunk]) for chunk, size in work.missing.items()), reserve_bytes)
        work.reuse(held)
        work.bring()
        work.seal(out)
        return Fetched(out, work.progress)
    except StopError as error:
        return error.stopped
    except OSError as error:
        reason = Reason.NO_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else Reason.STATE
        return Stopped(reason, f"The release cannot be written: {error.strerror or error}.", f"Look at the disk of {out.parent}.")


def is_whole(index: ReleaseIndex, folder: Path) -> bool:
    """Whether a folder holds exactly the files of an index, every byte compared. Raises OSError."""
    if set(walk(folder)) != {file.path for file in index.files}:
        return False
    return all(_is_file(folder / file.path, file.size, file.sha256) for file in index.files)


class _Work:
    """One attempt: which chunks are missing, and where they go."""

    def __init__(self, index: ReleaseIndex, partial: Path, mirror: Mirror, watch: Callable[[Progress], None]) -> None:
        self.index, self.partial, self._mirror, self._watch = index, partial, mirror, watch
        self.files = partial / "files"
        self.missing: dict[str, int] = index.chunks()
        self.places: Mapping[str, list[tuple[Path, int]]] = _places(index, self.files)
        self.progress = Progress(sum(self.missing.values()))

    def prepare(self) -> None:
        """Files of their final length, with holes; what another release left is removed."""
        try:
            self._shape()
        except (IsADirectoryError, NotADirectoryError, FileExistsError):
            shutil.rmtree(self.partial)
            self._shape()

    def _shape(self) -> None:
        wanted = {file.path for file in self.index.files}
        self.files.mkdir(parents=True, exist_ok=True)
        for name in list(walk(self.files)):
            path = self.files / name
            if name not in wanted or path.is_symlink() or not path.is_file():
                path.unlink()
        for file in self.index.files:
            path = self.files / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as grown:
                grown.truncate(file.size)

    def keep(self) -> None:
        """What an earlier attempt brought is hashed, not believed; holes are not read."""
        for chunk, size in list(self.missing.items()):
            path, offset = self.places[chunk][0]
            if _sha256(piece := _piece(path, offset, size)) == chunk:
                self._put(chunk, piece, self.places[chunk][1:])
                self._count(kept=size)

    def reuse(self, held: Sequence[Path]) -> None:
        """What other releases on this device hold."""
        for folder in held:
            for piece in _pieces(folder, self.index.chunk_bytes):
                if not self.missing:
                    return
                if (chunk := _sha256(piece)) in self.missing:
                    self._put(chunk, piece, self.places[chunk])
                    self._count(reused=len(piece))

    def bring(self) -> None:
        """What is missing, chunk by chunk."""
        incoming, unsynced = self.partial / INCOMING, 0
        for chunk, size in list(self.missing.items()):
            piece = self._chunk(chunk, size, incoming)
            self._put(chunk, piece, self.places[chunk])
            incoming.unlink(missing_ok=True)
            self._count(fetched=size)
            unsynced += size
            if unsynced >= _SYNC_BYTES:
                sync_tree(self.files)
                unsynced = 0
        incoming.unlink(missing_ok=True)

    def seal(self, out: Path) -> None:
        """Every file once more, on the disk, then one rename. Raises StopError, OSError."""
        if not is_whole(self.index, self.files):
            raise stop(Reason.MISMATCH, "The files of the release are not what was signed.", "The next attempt looks at every chunk again.")
        sync_tree(self.files)
        if out.exists():
            shutil.rmtree(out)
        self.files.rename(out)
        sync_folder(out.parent)
        sync_folder(self.partial)
        shutil.rmtree(self.partial, ignore_errors=True)

    def _chunk(self, chunk: str, size: int, incoming: Path) -> bytes:
        """A chunk from the mirror; a second time from its first byte where its beginning, from before, turns out to be wrong."""
        begun = self._begun(chunk, size, incoming)
        piece = self._receive(chunk, size, incoming, begun)
        if _sha256(piece) != chunk and begun:
            incoming.unlink(missing_ok=True)
            piece = self._receive(chunk, size, incoming, 0)
        if _sha256(piece) != chunk:
            incoming.unlink(missing_ok=True)
            raise stop(Reason.MISMATCH, f"The mirror sends other bytes than those that were signed, for chunk {chunk[:12]}.")
        return piece

    def _begun(self, chunk: str, size: int, incoming: Path) -> int:
        """How many bytes of this very chunk are here. The name is in the file's first line, for there is one such file."""
        with suppress(OSError):
            head = incoming.read_bytes()[: len(chunk) + 1]
            begun = incoming.stat().st_size - len(head)
            if head == chunk.encode() + b"\n" and 0 < begun < size:
                return begun
        incoming.unlink(missing_ok=True)
        return 0

    def _receive(self, chunk: str, size: int, incoming: Path, begun: int) -> bytes:
        answer = self._mirror.open(chunk_path(chunk), size - begun, begun)
        head = chunk.encode() + b"\n"
        with incoming.open("r+b" if begun else "wb") as file, closing(answer.pieces) as pieces:
            if not begun:
                file.write(head)
            file.truncate(len(head) + answer.offset)
            file.seek(len(head) + answer.offset)
            for piece in pieces:
                file.write(piece)
                self.progress = replace(self.progress, received=self.progress.received + len(piece))
        return incoming.read_bytes()[len(head) :]

    def _put(self, chunk: str, piece: bytes, places: Sequence[tuple[Path, int]]) -> None:
        for path, offset in places:
            with path.open("r+b") as file:
                file.seek(offset)
                file.write(piece)
        del self.missing[chunk]

    def _count(self, *, kept: int = 0, reused: int = 0, fetched: int = 0) -> None:
        now = self.progress
        self.progress = replace(now, kept=now.kept + kept, reused=now.reused + reused, fetched=now.fetched + fetched)
        self._watch(self.progress)


def _places(index: ReleaseIndex, folder: Path) -> dict[str, list[tuple[Path, int]]]:
    """Where each chunk goes: file and offset."""
    held: dict[str, list[tuple[Path, int]]] = {}
    for file in index.files:
        for number, chunk in enumerate(file.chunks):
            held.setdefault(chunk, []).append((folder / file.path, number * index.chunk_bytes))
    return held


def _pieces(folder: Path, chunk_bytes: int) -> Iterator[bytes]:
    """The files of a folder as a publisher cuts them; files that cannot be read are passed over."""
    for name in walk(folder):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            continue
        with suppress(OSError), path.open("rb") as file:
            while piece := file.read(chunk_bytes):
                yield piece


def _piece(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        if hasattr(os, "SEEK_DATA"):
            try:
                if os.lseek(file.fileno(), offset, os.SEEK_DATA) >= offset + size:
                    return b""  # a hole: nothing was written here
            except OSError:  # no data from here to the end of the file
                return b""
        file.seek(offset)
        return file.read(size)


def _check_quota(index: ReleaseIndex, quota_bytes: int | None) -> None:
    if quota_bytes is not None and index.size_bytes > quota_bytes:
        raise stop(Reason.NO_SPACE, f"The release has {index.size_bytes} bytes, and may have {quota_bytes}.", "Raise the quota.")


def _check_space(partial: Path, missing: int, reserve_bytes: int) -> None:
    free = shutil.disk_usage(partial).free
    if missing + reserve_bytes > free:
        raise stop(Reason.NO_SPACE, f"{missing} bytes are to come, {reserve_bytes} stay free, and the disk has {free}.", "Free some space.")


def _is_file(path: Path, size: int, sha256: str) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    entry = entry_of(path)
    return (entry.size, entry.sha256) == (size, sha256)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _nobody(progress: Progress) -> None:
    """Nobody watches."""
