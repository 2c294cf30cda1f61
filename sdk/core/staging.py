"""Folders that are filled beside their place and renamed into it; what a killed process left is removed by the next one.

A staging folder is locked (flock) while its process lives. One that nobody holds is nobody's: the next writer to the same
place removes it. On Windows no locks are taken, and nothing is removed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

YOUNG_S = 10.0
"""A folder younger than this is left alone: its process may not have locked it yet."""


@contextmanager
def staging(out: Path) -> Generator[Path]:
    """A new folder beside `out`, gone at the end unless it was renamed. Raises OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent))
    try:
        with _held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(out: Path) -> None:
    """Remove the staging folders of `out` whose processes are gone."""
    if sys.platform == "win32":
        return
    for left in out.parent.glob(f"{_escaped(_prefix(out))}*"):
        with suppress(OSError):  # another process was faster, or the folder is not ours to remove
            if time.time() - left.stat().st_mtime > YOUNG_S and not left.is_symlink() and _is_free(left):
                shutil.rmtree(left, ignore_errors=True)


def _prefix(out: Path) -> str:
    return f".{out.name}.portside-"


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


@contextmanager
def _held(folder: Path) -> Generator[None]:
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: nothing of it is ever swept either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_free(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
