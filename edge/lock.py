"""One agent owns a folder: a lock that the system lets go of when its process ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from ..sdk.core.errors import StoreError

LOCK = "lock"

if sys.platform == "win32":
    import msvcrt

    BEHIND = 1 << 20
    """Where the locked byte is: what is locked there cannot be read, and the process is to be read."""

    def _lock(file: TextIO, alone: bool) -> None:
        """Take the lock, alone or with others who look. Raises OSError where somebody has it."""
        handle = file.fileno()
        os.lseek(handle, BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # there is none that is shared: who looks has it for a moment
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(file: TextIO, alone: bool) -> None:
        """Take the lock, alone or with others who look. Raises OSError where somebody has it."""
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)


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
            _lock(self._file, alone=True)
        except OSError:
            time.sleep(0.05)
            _lock(self._file, alone=True)

    def close(self) -> None:
        """Let go."""
        self._file.close()


def holder(folder: Path) -> int | None:
    """The process of the agent that runs on a folder; None: none does. Changes nothing."""
    try:
        with (folder / LOCK).open(encoding="utf-8") as file:
            try:
                _lock(file, alone=False)
            except OSError:
                said = file.read(20).strip()
                return int(said) if said.isdigit() else 0
    except OSError:
        pass
    return None
