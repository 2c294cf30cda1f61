"""One agent owns a folder: a lock that the system lets go of when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from ..sdk.core.errors import StoreError

LOCK = "lock"


class FolderLock:
    """Holds `folder/lock` until `close`. Raises StoreError where another agent does, or where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"The agent's folder cannot be written: {error.strerror or error}", got=str(folder),
                             fix="It must be writable by the agent, on a disk with space left.") from error  # fmt: skip
        try:
            self._take()
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).strip()
            self._file.close()
            raise StoreError("Another agent runs on this folder", got=f"{folder}, process {holder or 'unknown'}",
                             fix="Stop it, or give this one a folder of its own.") from error  # fmt: skip
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _take(self) -> None:
        """Twice: somebody may just be looking. Raises OSError."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.05)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Let go."""
        self._file.close()


def holder(folder: Path) -> int | None:
    """The process of the agent that runs on a folder; None: none does. Changes nothing."""
    try:
        with (folder / LOCK).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                said = file.read(20).strip()
                return int(said) if said.isdigit() else 0
    except OSError:
        pass
    return None
