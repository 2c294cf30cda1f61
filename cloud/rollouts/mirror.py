"""What the database says of a rollout, as the small file that workers look at. Made as often as one likes, always from the newest state.

The file is replaced under a lock, and the state is read under it: whoever read earlier has written earlier, so nobody who was held up
puts an older state over a newer one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ...sdk.core.errors import FormatError
from ..deployment.traffic import NOBODY, Traffic, read_traffic, write_traffic
from ..records.database import Database
from ..rollout import traffic
from .storing import newest

if sys.platform != "win32":
    import fcntl

LOCK = ".traffic.lock"
WAIT_S = 5.0
"""How long somebody who holds the lock is waited for: who was stopped there must not keep anybody from going back."""


def mirror(database: Database, deployment: str, folder: Path) -> Traffic:
    """Let the file in `folder` say what the newest rollout of a deployment is. Raises SQLAlchemyError, OSError."""
    with _alone(folder):
        with database.read() as connection:
            held = newest(connection, deployment)
        wanted = NOBODY if held is None else traffic(held.policy, held.state, held.serial)
        if _there(folder) != wanted:
            write_traffic(folder, wanted)
    return wanted


def _there(folder: Path) -> Traffic | None:
    try:
        return read_traffic(folder)
    except FormatError:
        return None  # damaged: it is made anew


def _taken(handle: int) -> bool:
    """On Windows there is no such lock, and the next look puts right what two did at once."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        ends = time.monotonic() + WAIT_S
        while not _taken(handle) and time.monotonic() < ends:
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)
