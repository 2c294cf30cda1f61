"""Files of a package folder: which names are allowed, how they are written, and how their bytes are checked.

A name is a plain relative path below a known folder, spelled in one way on every file system: no links, no `..`, no
control characters, NFC, and no two names that differ only in case. A file is read once, and what is returned is what
was hashed, so nothing can be swapped between the check and the use.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from .errors import FormatError, IntegrityError, StoreError
from .manifest import CONTENT_FOLDERS, FileEntry

Source: TypeAlias = bytes | Path
"""Content of a file to be written: bytes, or a file to copy."""
CHUNK = 1 << 20
_FETCH = "Fetch the package again from where it came."
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def check_path(name: str, folders: tuple[str, ...] = (*CONTENT_FOLDERS, "annotations")) -> None:
    """Raise FormatError unless `name` is a plain relative path below one of `folders`."""
    path = PurePosixPath(name)
    plain = str(path) == name and ".." not in path.parts and not any(char in '\\:' or not char.isprintable() for char in name)
    short = all(len(part.encode("utf-8", "replace")) <= 255 for part in path.parts)
    if not plain or not short or len(path.parts) < 2 or path.parts[0] not in folders:
        raise FormatError("A path in the manifest leaves the package or is not plain", got=repr(name)[:300],
                          expected=f"a relative path below {', '.join(folders)}")  # fmt: skip
    if not unicodedata.is_normalized("NFC", name):
        raise FormatError("A path in the manifest is not in Unicode's composed form (NFC)", got=ascii(name))


def check_paths(names: Iterable[str]) -> None:
    """Raise FormatError where two names are one file on some file system: by case, or a file that is also a folder."""
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(_folded(name), name)) != name:
            raise FormatError("Two paths in the manifest differ only in case", got=f"{other!r} and {name!r}")
    for folded, name in seen.items():
        for parent in PurePosixPath(folded).parents:
            if str(parent) in seen:
                raise FormatError("A path in the manifest is a file and a folder", got=f"{seen[str(parent)]!r} and {name!r}")


def check_free(out: Path) -> None:
    """Raise StoreError unless a new folder can stand at `out`: nothing is there, or an empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError("The output folder is not empty", got=str(out), fix="Name a new folder, or remove it first.")


def put(path: Path, source: Source) -> FileEntry:
    """Write a file and return its entry, hashed while it is copied. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        path.write_bytes(source)
        return FileEntry.of(source)
    shutil.copyfile(source, path)
    return entry_of(path)


def entry_of(path: Path) -> FileEntry:
    """The entry of a file. Raises OSError."""
    hasher, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    return FileEntry(hasher.hexdigest(), size)


def read_file(root: Path, name: str, entry: FileEntry) -> bytes:
    """The bytes of `name`, which are the bytes that `entry` promises.

    Raises IntegrityError: missing, a link or not a plain file, another size, other bytes.
    """
    handle = _open(root, name, entry)
    with os.fdopen(handle, "rb") as file:
        data = file.read(entry.size + 1)
    _compare(name, FileEntry.of(data), entry)
    return data


def audit_file(root: Path, name: str, entry: FileEntry) -> None:
    """As `read_file`, without holding the bytes in memory."""
    hasher, size = hashlib.sha256(), 0
    with os.fdopen(_open(root, name, entry), "rb") as file:
        while size <= entry.size and (chunk := file.read(CHUNK)):
            hasher.update(chunk)
            size += len(chunk)
    _compare(name, FileEntry(hasher.hexdigest(), size), entry)


def walk(root: Path) -> Iterator[str]:
    """Every file below `root`, and every link to a folder, as a relative path with slashes."""
    for folder, folders, files in os.walk(root):
        for name in (*files, *(sub for sub in folders if (Path(folder) / sub).is_symlink())):
            yield (Path(folder) / name).relative_to(root).as_posix()


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below `folder`, so that a rename publishes only what is on the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            sync_folder(Path(root) / name)
        sync_folder(Path(root))


def sync_folder(path: Path) -> None:
    """fsync one file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open(root: Path, name: str, entry: FileEntry) -> int:
    """A descriptor of a plain file of the promised size, reached through no link."""
    file = root
    for part in PurePosixPath(name).parts:
        file = file / part
        if file.is_symlink():
            raise IntegrityError("A package must not contain links", got=name)
    try:
        handle = os.open(file, _FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IntegrityError("A file that the manifest lists is missing", got=name, fix=_FETCH) from error
    except OSError as error:
        raise IntegrityError(f"A file that the manifest lists cannot be read: {error.strerror}", got=name) from error
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_size == entry.size:
        return handle
    os.close(handle)
    if not stat.S_ISREG(found.st_mode):
        raise IntegrityError("A file that the manifest lists is not a plain file", got=name)
    raise IntegrityError(f"{name} does not have the size that the manifest states", got=found.st_size, expected=entry.size, fix=_FETCH)


def _compare(name: str, found: FileEntry, entry: FileEntry) -> None:
    if found != entry:
        raise IntegrityError(f"{name} was changed after it was packed", got=found.sha256, expected=entry.sha256, fix=_FETCH)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
