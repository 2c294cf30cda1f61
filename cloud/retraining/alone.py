"""One process at a time retrains a deployment on a machine: a lock that is given back when its process ends, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ...sdk.core.errors import StoreError

if sys.platform != "win32":
    import fcntl

LOCK = "lock"


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Hold the lock of a folder, made where it is not there. On Windows nothing is held.

    Raises StoreError where another process does, or the folder cannot be written.
    """
    handle = _opened(folder)
    try:
        _take(handle)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)


def _opened(folder: Path) -> int:
    """Not through a link: what it leads to would be emptied."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        raise StoreError(f"Runs of retraining cannot be kept: {error.strerror}", got=str(folder),
                         fix="Let this account write there, or set PORTSIDE_HOME.") from error  # fmt: skip


def _take(handle: int) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreError("Another process retrains this deployment", got=os.pread(handle, 100, 0).decode() or "it has just begun",
                         fix="Wait for it. A process that was killed holds nothing.") from error  # fmt: skip
