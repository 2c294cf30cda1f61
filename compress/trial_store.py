"""Finished trials on disk: one file each, whole or not there, so that a search killed at any moment loses at most the one in flight.

A trial is found again by a digest of everything that its figures depend on; whatever of that changes, it is another trial.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, cast

from ..sdk.core.canonical import digest_of
from ..sdk.core.errors import FormatError, StoreError
from .settings import Settings
from .structures import Structure
from .trials import Trial
from .whole_file import HALF, write_whole

if sys.platform != "win32":
    import fcntl

FORMAT = 4
"""Of a trial's file. 2: gates are data. 3: expectations are judged, and memory that was not measured is no figure. 4: it states its
digest. A file of another format is said, and its trial made again."""


@dataclass
class TrialStore:
    """The trials of one search.

    Args:
        folder: where they are kept, with `trials/` and `sensitivity/`; None: in memory.
        identity: everything but the settings that figures depend on, JSON-ready.
        learned: what figures of structures depend on beside that; None: trials of structures are not read.
    """

    folder: Path | None
    identity: Mapping[str, Any]
    learned: Mapping[str, Any] | None = None
    trials: dict[str, Trial] = field(default_factory=dict[str, Trial])
    """Key -> trial, in the order in which they were made."""
    broken: list[str] = field(default_factory=list[str])
    """Files that could not be read; their trials are made again."""

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else searches in the folder meanwhile; finished trials are read. Raises StoreError where somebody does."""
        if self.folder is None:
            yield
            return
        try:
            for part in ("trials", "sensitivity"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / "search.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError("The folder of a search cannot be written", got=f"{self.folder}: {error.strerror}") from error
        try:
            _take(handle, self.folder)
            for half in self.folder.glob(f"*/{HALF}*"):  # of a search that was killed while it wrote
                half.unlink(missing_ok=True)
            self._read(self.folder / "trials")
            yield
        finally:
            os.close(handle)

    def key(self, settings: Settings) -> str:
        """The same for trials whose figures are interchangeable."""
        learned = (self.learned or {}) if settings.structure else {}
        return digest_of({**self.identity, **learned, "settings": settings.to_dict()}).removeprefix("sha256:")[:32]

    def of(self, structure: Structure) -> TrialStore:
        """A place beside for what was measured of a structure's nodes."""
        if not structure:
            return self
        return replace(self, identity={**self.identity, **(self.learned or {}), "structure": structure.to_dict()})

    def add(self, trial: Trial) -> Trial:
        """Keep a finished trial; it is on the disk when this returns."""
        key = self.key(trial.settings)
        held = {"format": FORMAT, "number": len(self.trials), "identity": dict(self.identity), "trial": plain(trial.to_dict())}
        self.trials[key] = trial
        if self.folder is not None:
            _write(self.folder / "trials" / f"{key}.json", held)
        return trial

    def damages(self, name: str) -> dict[str, float] | None:
        """Sensitivity that was measured before, by node."""
        if self.folder is None or not (file := self._damages(name)).is_file():
            return None
        try:
            found = _checked(json.loads(file.read_text()))["damages"]
            return {node: float("inf") if held is None else float(held) for node, held in found.items()}
        except (ValueError, KeyError, AttributeError, TypeError, FormatError) as error:
            self.broken.append(f"{file.name}: {error}")
            return None

    def keep_damages(self, name: str, found: Mapping[str, float]) -> None:
        """Keep the sensitivity of a class's nodes."""
        if self.folder is not None:
            _write(self._damages(name), {"damages": plain(found)})

    def _damages(self, name: str) -> Path:
        key = digest_of({**self.identity, "class": name}).removeprefix("sha256:")[:20]
        return cast("Path", self.folder) / "sensitivity" / f"{name}-{key}.json"

    def _read(self, folder: Path) -> None:
        found: list[tuple[int, str, Trial]] = []
        for file in sorted(folder.glob("*.json")):
            try:
                held = json.loads(file.read_text(encoding="utf-8"))
                settings = Settings.from_dict(held["trial"]["settings"])
                if settings.structure and self.learned is None:
                    continue
                if file.stem == self.key(settings):  # else of another package, rows or gates
                    found.append((int(held["number"]), file.stem, _trial(held)))
            except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
                self.broken.append(f"{file.name}: {error}")
        self.trials |= {key: trial for _, key, trial in sorted(found, key=lambda held: held[:2])}


def _trial(held: Mapping[str, Any]) -> Trial:
    """The trial of a file. Raises FormatError for one of another format, and one that was changed."""
    if held["format"] != FORMAT:
        raise FormatError("The file has another format", got=held["format"], expected=FORMAT)
    return trial_of(_checked(held)["trial"])


def trial_of(held: Mapping[str, Any]) -> Trial:
    """A trial as `plain` wrote it. Raises FormatError for one of an earlier version."""
    return Trial.from_dict({**held, "figures": {name: value for name, value in held["figures"].items() if value is not None}})


def plain(value: Any) -> Any:
    """JSON-ready: numbers that are not finite become None, which is "no figure" wherever trials are read."""
    if isinstance(value, Mapping):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in cast("list[Any]", value)]
    return None if isinstance(value, float) and not isfinite(value) else value


def _take(handle: int, folder: Path) -> None:
    if sys.platform == "win32":  # there is no flock: one search at a time is the user's to keep
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError("Another search runs in this folder", got=str(folder), fix="Wait for it, or name another folder.") from error


def _write(path: Path, held: Mapping[str, Any]) -> None:
    """JSON that people can read, with a digest of the rest of it."""
    write_whole(path, json.dumps({**held, "digest": digest_of(held)}, indent=1, allow_nan=False).encode(), "A trial")


def _checked(held: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises FormatError for JSON that is not as `_write` was given it."""
    rest = {name: value for name, value in held.items() if name != "digest"}
    if held.get("digest") != digest_of(rest):
        raise FormatError("The file is not as it was written")
    return rest
