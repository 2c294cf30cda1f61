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
    """Hold the lock of a folder, made where it is not there. Raises StoreError where another process does. On Windows nothing is held."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreError("Another process retrains this deployment", got=os.pread(handle, 100, 0).decode() or "it has just begun",
                         fix="Wait for it. A process that was killed holds nothing.") from error  # fmt: skip
