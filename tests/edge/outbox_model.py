"""An outbox as a model has it, and the sizes of its files at their largest."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from portside.edge import outbox_store
from portside.edge.outbox import Outbox


def without_syncs(patch: pytest.MonkeyPatch) -> None:
    """Commits do not wait for the disk: for tests of what is written, not of whether it lasts."""
    real = outbox_store.Paged._prepare

    def quick(store: outbox_store.Paged) -> None:
        real(store)
        store.connection.execute("PRAGMA synchronous = OFF")

    patch.setattr(outbox_store.Paged, "_prepare", quick)


class Sizes:
    """The most that the files of a folder ever took.

    Within a transaction, and while the log is carried into the database, both only grow; the log is cut last. So the largest moment is
    the log before it is cut with the database after.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.most = folder, 0
        real = outbox_store.Paged._empty_log

        def watched(store: outbox_store.Paged) -> None:
            before = _size(store._log)
            self.look()
            real(store)
            self.most = max(self.most, self.now() - _size(store._log) + before)

        patch.setattr(outbox_store.Paged, "_empty_log", watched)

    def now(self) -> int:
        """Bytes of all files now."""
        return sum(_size(path) for path in self.folder.iterdir())

    def look(self) -> None:
        """Remember how large they are now."""
        self.most = max(self.most, self.now())


@contextlib.contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def drained(outbox: Outbox) -> list[int]:
    """Every number that waits, by asking and settling."""
    found: list[int] = []
    while entries := outbox.batch():
        found += [entry.sequence for entry in entries]
        assert outbox.settle([entry.sequence for entry in entries]) == len(entries)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
