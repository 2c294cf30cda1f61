"""Files of work that is under way: there whole or not at all, whatever stops the writing; read only where no byte of them changed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from tempfile import NamedTemporaryFile

from ..sdk.core.canonical import digest_of_bytes
from ..sdk.core.errors import FormatError
from ..sdk.core.folder import sync_folder
from ..sdk.core.package import cannot_write

HALF = ".half-"
"""How the name of a file begins that is not whole yet: only a killed process leaves one."""
_SEAL = b"portside sealed "


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


def sealed(data: bytes) -> bytes:
    """The data behind a line with its digest."""
    return _SEAL + digest_of_bytes(data).encode() + b"\n" + data


def unsealed(held: bytes) -> bytes:
    """The data that `sealed` was given. Raises FormatError where a byte of it, or of the line, is another."""
    first, _, data = held.partition(b"\n")
    if first != _SEAL + digest_of_bytes(data).encode():
        raise FormatError("Its bytes are not those that were written")
    return data


def drop(file: Path, error: Exception, stacklevel: int = 3) -> None:
    """Remove a file that is damaged, and say so: what it kept is made again."""
    file.unlink(missing_ok=True)
    warn_dropped(file, error, stacklevel + 1)


def warn_dropped(place: Path, error: Exception, stacklevel: int = 3) -> None:
    """Say that something damaged was removed."""
    warnings.warn(f"{place.name} is damaged and was dropped; what it kept is made again: {error}", RuntimeWarning, stacklevel)
