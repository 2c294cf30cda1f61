"""One file replaced in one step, and on the disk before anybody is told so."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from .folder import sync_folder


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` at `path`: whoever looks, also after a power cut, finds the file of before or all of the new one.

    Args:
        path: in a folder that exists.
        data: the whole content.
        mode: permissions, from the first byte on.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.chmod(name, mode)  # noqa: PTH101 - before there is anything to read
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    sync_folder(path.parent)
