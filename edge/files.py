"""The few file operations that an update needs, so that a test can cut the power between any two of them.

What a layer promises is what a journalling file system does, and no more:

- bytes that were written are on the disk after `sync(file)`; before that any part of them may be there, or zeros;
- a name that was made, moved or removed is on the disk after `sync_folder(folder)`; before that it may be or not;
- `rename` within one folder is atomic: a reader finds the old file or the new one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

PIECE = 1 << 20

if sys.platform == "darwin":
    import fcntl


class Files(Protocol):
    """A file layer. Every call raises OSError (FileNotFoundError, FileExistsError, ...) as the system's own would."""

    def write(self, path: Path, pieces: Iterable[bytes]) -> None:
        """Make or replace the file at `path`. Nothing is on the disk before `sync`, nor its name before `sync_folder`."""
        ...

    def read(self, path: Path) -> Iterator[bytes]:
        """The bytes of a plain file, in pieces; a link is not followed."""
        ...

    def sync(self, path: Path) -> None:
        """Put a file's bytes on the disk."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Put the names in a folder on the disk."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Move a file or folder within its folder; a file replaces a file. Raises ValueError for another folder."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        ...

    def mkdir(self, path: Path) -> None:
        """Make a folder in one that exists."""
        ...

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        ...

    def names(self, path: Path) -> list[str]:
        """Names in a folder, sorted."""
        ...

    def exists(self, path: Path) -> bool:
        """Something is there, be it a link that leads nowhere."""
        ...

    def is_folder(self, path: Path) -> bool:
        """A folder is there, not a link to one."""
        ...


class OsFiles:
    """The file system of this machine."""

    def write(self, path: Path, pieces: Iterable[bytes]) -> None:
        """As `Files.write`."""
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)

    def read(self, path: Path) -> Iterator[bytes]:
        """As `Files.read`."""
        with open(path, "rb", opener=_opener) as file:
            while piece := file.read(PIECE):
                yield piece

    def sync(self, path: Path) -> None:
        """As `Files.sync`."""
        _sync(path)

    def sync_folder(self, path: Path) -> None:
        """As `Files.sync_folder`; Windows has no such call, and so no device there is promised a release after a power cut."""
        if sys.platform != "win32":
            _sync(path)

    def rename(self, old: Path, new: Path) -> None:
        """As `Files.rename`."""
        check_rename(old, new)
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        """As `Files.unlink`."""
        path.unlink()

    def mkdir(self, path: Path) -> None:
        """As `Files.mkdir`."""
        path.mkdir()

    def rmdir(self, path: Path) -> None:
        """As `Files.rmdir`."""
        path.rmdir()

    def names(self, path: Path) -> list[str]:
        """As `Files.names`."""
        return sorted(entry.name for entry in path.iterdir())

    def exists(self, path: Path) -> bool:
        """As `Files.exists`."""
        return os.path.lexists(path)

    def is_folder(self, path: Path) -> bool:
        """As `Files.is_folder`."""
        return path.is_dir() and not path.is_symlink()


def check_rename(old: Path, new: Path) -> None:
    """Raise ValueError unless both stand in one folder, where a rename is one entry of the journal."""
    if old.parent != new.parent:
        raise ValueError(f"{old} and {new} are not in one folder")


def read_whole(files: Files, path: Path, most: int) -> bytes:
    """A small file as a whole. Raises OSError where it is not there or holds more than `most` bytes."""
    data = b""
    for piece in files.read(path):
        data += piece
        if len(data) > most:
            raise OSError(f"{path} holds more than {most} bytes")
    return data


def replace_file(files: Files, path: Path, data: bytes) -> None:
    """Replace a small file by one atomic rename: afterwards it is on the disk, and at no moment half of it."""
    fresh = path.with_name(path.name + ".new")
    files.write(fresh, [data])
    files.sync(fresh)
    files.rename(fresh, path)
    files.sync_folder(path.parent)


def make_folders(files: Files, path: Path) -> None:
    """Make a folder and those above it that are missing, and put their names on the disk. A link is taken for what it leads to: what
    systemd gives a service as its folder is one."""
    if files.exists(path):
        return
    make_folders(files, path.parent)
    files.mkdir(path)
    files.sync_folder(path.parent)


def remove_tree(files: Files, path: Path) -> None:
    """Remove a file, or a folder with all that is in it, where there is one. Links are removed, not followed."""
    if not files.exists(path):
        return
    if not files.is_folder(path):
        files.unlink(path)
        return
    for name in files.names(path):
        remove_tree(files, path / name)
    files.rmdir(path)


def walk(files: Files, path: Path, prefix: str = "") -> Iterator[str]:
    """Everything below a folder that is not a folder, as relative paths with slashes."""
    for name in files.names(path):
        if files.is_folder(path / name):
            yield from walk(files, path / name, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}"


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)  # there only who may write may sync
    try:
        if sys.platform == "darwin":  # fsync there stops at the drive's cache
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        else:
            os.fsync(handle)
    finally:
        os.close(handle)
