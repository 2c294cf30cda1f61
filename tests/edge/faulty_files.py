"""A file layer in memory that knows what is on the disk and what is only on its way there, and that can lose its power.

Every file has its bytes and those that were synced; every folder its names and those that were synced, and what happened to
names since is a journal, in order. `power_cut` makes from that the disk that a restart may find:

- names: any prefix of the journal, over all folders or in each folder on its own;
- bytes of files that were not synced: all, those synced before, nothing, a part, or a part with zeros up to the length.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from portside.edge.files import check_rename

Tear = Callable[[bytes, bytes], bytes]
"""(bytes that were synced, bytes that were written) -> bytes that are found."""


class PowerCut(BaseException):
    """The end of everything: no `except Exception` survives it."""


@dataclass(eq=False)
class File:
    data: bytes = b""
    synced: bytes = b""


@dataclass(eq=False)
class Folder:
    names: dict[str, File | Folder] = field(default_factory=dict)
    kept: dict[str, File | Folder] = field(default_factory=dict)


@dataclass(eq=False)
class Entry:
    """One line of the journal: names of a folder that change together."""

    folder: Folder
    changes: dict[str, File | Folder | None]


class FaultyFiles:
    """`Files` in memory.

    Args:
        cut: (number of an operation from 1, "before" or "after" it): there PowerCut is raised, and by every call from then on.
        forgets: "file", "folder" or both: syncs that do nothing.
        watch: called with "before" and "after" around every operation: what `power_cut` gives there is what a cut there leaves.
    """

    def __init__(self, cut: tuple[int, str] | None = None, forgets: Iterable[str] = (), watch: Callable[[str], None] | None = None) -> None:
        self.top = Folder()
        self.journal: list[Entry] = []
        self.cut, self.forgets, self.watch = cut, frozenset(forgets), watch
        self.operations = 0
        self.dead = False

    def write(self, path: Path, pieces: Iterable[bytes]) -> None:
        folder = self._folder(path.parent)

        def make() -> None:
            held = folder.names.get(path.name)
            if isinstance(held, Folder):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            if held is None:
                self._note(folder, {path.name: File()})
            else:
                held.data = b""

        self._do(make)
        file = self._file(path)
        for piece in pieces:
            self._do(lambda piece=piece: setattr(file, "data", file.data + piece))

    def read(self, path: Path) -> Iterator[bytes]:
        self._alive()
        yield self._file(path).data

    def sync(self, path: Path) -> None:
        file = self._file(path)
        self._do(lambda: None if "file" in self.forgets else setattr(file, "synced", file.data))

    def sync_folder(self, path: Path) -> None:
        folder = self._folder(path)

        def sync() -> None:
            if "folder" in self.forgets:
                return
            for entry in self.journal:
                if entry.folder is folder:
                    _apply(folder.kept, entry.changes)
            self.journal = [entry for entry in self.journal if entry.folder is not folder]

        self._do(sync)

    def rename(self, old: Path, new: Path) -> None:
        check_rename(old, new)
        folder, node = self._folder(old.parent), self._node(old)
        there = folder.names.get(new.name)
        if isinstance(there, Folder) != isinstance(node, Folder) and there is not None:
            kind = errno.EISDIR if isinstance(there, Folder) else errno.ENOTDIR
            raise OSError(kind, os.strerror(kind), str(new))
        if isinstance(there, Folder) and there.names:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(new))
        self._do(lambda: self._note(folder, {old.name: None, new.name: node}))

    def unlink(self, path: Path) -> None:
        self._file(path)
        self._do(lambda: self._note(self._folder(path.parent), {path.name: None}))

    def mkdir(self, path: Path) -> None:
        folder = self._folder(path.parent)
        if path.name in folder.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._do(lambda: self._note(folder, {path.name: Folder()}))

    def rmdir(self, path: Path) -> None:
        if self._folder(path).names:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
        self._do(lambda: self._note(self._folder(path.parent), {path.name: None}))

    def names(self, path: Path) -> list[str]:
        self._alive()
        return sorted(self._folder(path).names)

    def exists(self, path: Path) -> bool:
        self._alive()
        try:
            self._node(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_folder(self, path: Path) -> bool:
        return self.exists(path) and isinstance(self._node(path), Folder)

    def power_cut(self, names: Callable[[list[Entry]], list[Entry]], tear: Tear) -> FaultyFiles:
        """The disk that a restart finds; this layer is left as it is."""
        kept: dict[int, dict[str, File | Folder]] = {}
        for entry in names(self.journal):
            _apply(kept.setdefault(id(entry.folder), dict(entry.folder.kept)), entry.changes)
        found = FaultyFiles()
        found.top = _found(self.top, kept, tear)
        return found

    def _do(self, change: Callable[[], None]) -> None:
        """One operation on the disk, with the power cut before or after it where it is to be."""
        self._alive()
        self.operations += 1
        self._die_at("before")
        change()
        self._die_at("after")

    def _die_at(self, moment: str) -> None:
        if self.watch is not None:
            self.watch(moment)
        if self.cut == (self.operations, moment):
            self.dead = True
            raise PowerCut

    def _alive(self) -> None:
        if self.dead:
            raise PowerCut

    def _note(self, folder: Folder, changes: dict[str, File | Folder | None]) -> None:
        _apply(folder.names, changes)
        self.journal.append(Entry(folder, changes))

    def _node(self, path: Path) -> File | Folder:
        node: File | Folder = self.top
        for part in path.parts[1:]:
            if not isinstance(node, Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            if part not in node.names:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = node.names[part]
        return node

    def _folder(self, path: Path) -> Folder:
        node = self._node(path)
        if not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        return node

    def _file(self, path: Path) -> File:
        node = self._node(path)
        if isinstance(node, Folder):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return node


def first(count: int) -> Callable[[list[Entry]], list[Entry]]:
    """The first entries of the journal are on the disk; below 0: all but the last ones."""
    return lambda journal: journal[:count]


def everything(journal: list[Entry]) -> list[Entry]:
    """All names are on the disk."""
    return journal


def scattered(seed: int) -> Callable[[list[Entry]], list[Entry]]:
    """In each folder on its own, some prefix of what happened there is on the disk."""

    def names(journal: list[Entry]) -> list[Entry]:
        dice, kept = random.Random(seed), []
        for folder in {id(entry.folder): entry.folder for entry in journal}.values():
            there = [entry for entry in journal if entry.folder is folder]
            kept += there[: dice.randint(0, len(there))]
        return kept

    return names


def written(synced: bytes, data: bytes) -> bytes:
    """All bytes are on the disk."""
    return data


def lost(synced: bytes, data: bytes) -> bytes:
    """Only what was synced before is."""
    return synced


def empty(synced: bytes, data: bytes) -> bytes:
    """The file has its name and nothing in it."""
    return b""


def torn(share: float) -> Tear:
    """A share of the bytes is there."""
    return lambda synced, data: data[: int(share * len(data))]


def zeroed(share: float) -> Tear:
    """A share of the bytes is there, and zeros up to the length of the file."""
    return lambda synced, data: data[: int(share * len(data))].ljust(len(data), b"\0")


def at_any_byte(seed: int) -> Tear:
    """Every file is torn at a byte of its own, some with zeros after it."""
    dice = random.Random(seed)

    def tear(synced: bytes, data: bytes) -> bytes:
        cut = data[: dice.randint(0, len(data))]
        return cut.ljust(len(data), b"\0") if dice.random() < 0.5 else cut

    return tear


def _apply(names: dict[str, File | Folder], changes: dict[str, File | Folder | None]) -> None:
    for name, node in changes.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _found(folder: Folder, kept: dict[int, dict[str, File | Folder]], tear: Tear) -> Folder:
    names: dict[str, File | Folder] = {}
    for name, node in sorted(kept.get(id(folder), folder.kept).items()):
        if isinstance(node, Folder):
            names[name] = _found(node, kept, tear)
        else:
            data = node.data if node.data == node.synced else tear(node.synced, node.data)
            names[name] = File(data, data)
    return Folder(names, dict(names))
