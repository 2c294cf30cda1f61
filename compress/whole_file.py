"""A file that is there whole or not at all, whatever stops the writing: what trials, checkpoints and answers of teachers are kept as."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from ..sdk.core.folder import sync_folder
from ..sdk.core.package import cannot_write

HALF = ".half-"
"""How the name of a file begins that is not whole yet: only a killed process leaves one."""


def write_whole(path: Path, data: bytes, what: str) -> None:
    """Write through a file beside `path` that is synced first; Ctrl-C leaves nothing of it. The folder is made where it is missing.

    Raises StoreError, which names `what`, where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=HALF, delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(what, path, error) from error
