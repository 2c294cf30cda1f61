"""The file of keys: JSON that `portside keys` writes and a running server watches.

A server looks at the file's time once a second, so a new or revoked key counts within that. A file that cannot be read
leaves the keys as they were, and the log says so; a file that is gone leaves none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...sdk.core.errors import FormatError, PortsideError
from ...sdk.core.replacing import replace_file
from .keys import Key

VERSION = 1
LOOK_S = 1.0
log = logging.getLogger("portside.keys")


def read(path: Path) -> dict[str, Key]:
    """Keys by id; none where there is no file. Raises FormatError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FormatError(f"The file of keys cannot be read: {error}", got=str(path)) from error
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("keys"), list):  # type: ignore[union-attr]
        raise FormatError("This is no file of keys", got=str(path), expected=f'{{"version": {VERSION}, "keys": [...]}}')
    keys = [Key.from_dict(entry) for entry in data["keys"]]  # type: ignore[union-attr]
    return {key.id: key for key in keys}


def write(path: Path, keys: Iterable[Key]) -> None:
    """Replace the file at once, readable by its owner alone. Raises FormatError."""
    text = json.dumps({"version": VERSION, "keys": [key.to_dict() for key in keys]}, indent=1)
    try:
        replace_file(path, text.encode(), path.stat().st_mode & 0o777 if path.exists() else 0o600)
    except OSError as error:
        raise FormatError(f"The file of keys cannot be written: {error.strerror or error}", got=str(path)) from error


class KeyFile:
    """The keys as the file says now, give or take a second."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0.0
        self._stamp = _stamp(path)
        self.keys: Mapping[str, Key] = read(path)

    def at(self, now: float) -> Mapping[str, Key]:
        """Keys by id. `now`: monotonic seconds."""
        if now >= self._next:
            self._next = now + LOOK_S
            self._look()
        return self.keys

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.keys = read(self._path)
        except PortsideError as error:
            log.error("The keys stay as they were: %s", error)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever the file is replaced or written."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
