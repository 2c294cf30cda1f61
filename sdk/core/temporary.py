"""Temporary folders that go when they should, even where Ctrl-C is pressed while they go.

`tempfile.TemporaryDirectory` forgets its folder before it removes it: pressed in between, or during the removal, Ctrl-C leaves half of it
on the disk for good.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_OPEN: set[Path] = set()
"""Folders that stand; what an interrupt kept from being removed goes when Python ends."""


@contextmanager
def temporary_folder(prefix: str, within: Path | None = None) -> Generator[Path]:
    """A new folder, in `within` or where the system keeps such things; gone at the end. Raises OSError where none can be made."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    _OPEN.add(folder)
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder however often Ctrl-C is pressed meanwhile, which is raised once, afterwards."""
    pressed: KeyboardInterrupt | None = None
    while folder in _OPEN:
        try:
            shutil.rmtree(folder, ignore_errors=True)
            _OPEN.discard(folder)
        except KeyboardInterrupt as stop:
            pressed = stop
    if pressed is not None:
        raise pressed


@atexit.register
def _remove_all() -> None:
    for folder in list(_OPEN):
        _remove(folder)
