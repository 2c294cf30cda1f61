"""Steps of a pass that are finished, kept while it runs: a run that was killed goes on from them, and ends with the same bytes.

- A step is found again by a digest of everything that it depends on: package, rows, options, seed, versions, the class of CPU.
- Its file states that digest and the digest of its own bytes. Both are checked before anything of it is read; a file that is damaged
  is dropped and named, and its step is made again.
- It holds arrays (safetensors) and JSON. Nothing is unpickled.
- It is there whole or not at all. Files are written once in `EVERY_S` seconds, several steps in one: so much work is lost at most, beside
  the step that a kill meets.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import load, save

from ..runtimes.hardware import built_on
from ..sdk.core.canonical import canonical_json, digest_of, read_object
from ..sdk.core.errors import FormatError, PortsideError
from ..sdk.core.package import Package, cannot_write, open_folder
from ..sdk.core.signature import Array
from ..sdk.core.temporary import temporary_folder
from .base import PassContext
from .whole_file import HALF, drop, sealed, unsealed, warn_dropped, write_whole

EVERY_S = 1.0
"""Seconds between two writes."""
FORMAT = 2
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Held:
    """What a file holds.

    Attributes:
        items: arrays by name, of one step after the other.
        said: JSON beside them.
    """

    items: Sequence[Arrays] = ()
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])


class KeptSteps:
    """The steps that a folder keeps.

    Args:
        folder: where passes keep their state; None: nothing is kept.
        here: what is kept depends on versions and on the class of CPU, as all does that is computed here.
    """

    def __init__(self, folder: Path | None, here: bool = True) -> None:
        self.folder = folder
        self._waiting: dict[Path, tuple[str, Held]] = {}
        self._gone: list[str] = []
        self._written = time.monotonic()
        built = built_on("onnxruntime") if here and folder is not None else {}
        self._about = {name: built.get(name) for name in ("cpu", "versions")}

    @classmethod
    def of(cls, context: PassContext, here: bool = True) -> KeptSteps:
        """Those of a pass."""
        return cls(context.checkpoints, here)

    @property
    def due(self) -> bool:
        """What is said to be kept now is written at once."""
        return self.folder is not None and time.monotonic() - self._written >= EVERY_S

    def read(self, kind: str, key: Mapping[str, Any], part: int = 0) -> Held | None:
        """What is kept under a key; None where nothing is. A file that is damaged is dropped, and named by a warning."""
        if self.folder is None or not (file := self._file(kind, key, part)).is_file():
            return None
        try:
            return _parsed(file.read_bytes(), self._key(key, part))
        except Exception as error:  # whatever is wrong with the file, the step is made again
            drop(file, error)
            return None

    def write(self, kind: str, key: Mapping[str, Any], held: Held, part: int = 0) -> None:
        """Keep this in place of what was under the key, as soon as it is due, with all that waits.

        Raises StoreError where it cannot be written.
        """
        if self.folder is None:
            return
        self._waiting[self._file(kind, key, part)] = (self._key(key, part), held)
        if self.due:
            self.flush()

    def flush(self) -> None:
        """Write what waits: what is to be kept whatever it took. Raises StoreError where it cannot be written."""
        for file in [*self._waiting]:
            write_whole(file, _bytes(*self._waiting[file]), "A finished step of a pass")
            del self._waiting[file]
        for file in [file for name in self._gone for file in cast("Path", self.folder).glob(f"{name}-*")]:
            file.unlink(missing_ok=True)  # not before what says as much is written
        self._gone.clear()
        self._written = time.monotonic()

    def waits(self, kind: str, key: Mapping[str, Any], part: int) -> bool:
        """It is not written yet."""
        return self.folder is not None and self._file(kind, key, part) in self._waiting

    def drop(self, kind: str, key: Mapping[str, Any]) -> None:
        """Remove all under a key with the next write: by then what came of it is kept."""
        if self.folder is not None:
            name = self._name(kind, key)
            for file in [file for file in self._waiting if file.name.startswith(f"{name}-")]:
                del self._waiting[file]
            self._gone.append(name)

    def series(self, kind: str, key: Mapping[str, Any]) -> Series:
        """Steps that are made one after the other."""
        return Series(self, kind, key)

    def package(self, kind: str, key: Mapping[str, Any], trusted: bool, make: Callable[[Path], Package], out: Path) -> Package:
        """A package that was made before; or one that `make` makes now, and that is kept.

        Args:
            kind, key: as everywhere.
            trusted: opened so.
            make: writes it to a folder that does not exist yet.
            out: such a folder, where nothing is kept.

        Raises what `make` raises; StoreError where it cannot be written.
        """
        if self.folder is None:
            return make(out)
        if (held := self.read(kind, key)) is not None and (found := self._opened(kind, held.said["package"], trusted)) is not None:
            return found
        made = make(out)
        place = self._place(kind, made.digest)
        try:
            if place.is_dir():  # of a run that was killed before it said so, or damaged
                shutil.rmtree(place)
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary_folder(HALF, self.folder) as work:
                shutil.copytree(made.path, work / "made")
                (work / "made").rename(place)
        except OSError as error:
            raise cannot_write("A finished step of a pass", place, error) from error
        self.write(kind, key, Held(said={"package": made.digest}))
        self.flush()
        return made

    def _opened(self, kind: str, digest: str, trusted: bool) -> Package | None:
        """The package of this digest; None where it is gone, or damaged, which is said."""
        if not (place := self._place(kind, digest)).is_dir():
            return None
        try:
            return open_folder(place, digest, trusted)
        except PortsideError as error:
            shutil.rmtree(place, ignore_errors=True)
            warn_dropped(place, error)
            return None

    def _place(self, kind: str, digest: str) -> Path:
        return cast("Path", self.folder) / f"{kind}-{digest.removeprefix('sha256:')[:24]}"

    def _key(self, key: Mapping[str, Any], part: int) -> str:
        return digest_of({**self._about, "format": FORMAT, "of": key, "part": part})

    def _name(self, kind: str, key: Mapping[str, Any]) -> str:
        return f"{kind}-{self._key(key, 0).removeprefix('sha256:')[:24]}"

    def _file(self, kind: str, key: Mapping[str, Any], part: int) -> Path:
        return cast("Path", self.folder) / f"{self._name(kind, key)}-{part}.step"


NOWHERE = KeptSteps(None)
"""Nothing is kept."""


class Series:
    """Steps in their order: those that are kept are given again, the others made, and kept.

    Args:
        steps: where.
        kind, key: of them all.
    """

    def __init__(self, steps: KeptSteps, kind: str, key: Mapping[str, Any]) -> None:
        self._steps, self.kind, self._key = steps, kind, key
        self._kept, self._fresh = list[Arrays](), list[Arrays]()
        while (held := steps.read(kind, key, len(self._kept))) is not None and held.items:
            self._kept += held.items
        self._next, self._part, self._whole = 0, -1, steps.folder is not None

    def __len__(self) -> int:
        """Steps that were kept before."""
        return len(self._kept)

    def step(self, make: Callable[[], Arrays]) -> Arrays:
        """The next step. What no file can hold (texts) is made every time, and so is all behind it.

        Raises what `make` raises; StoreError where it cannot be written.
        """
        place, self._next = self._next, self._next + 1
        if place < len(self._kept):
            return self._kept[place]
        made = make()
        self._whole = self._whole and all(held.dtype.kind in "fiub" and held.dtype.itemsize <= 8 for held in made.values())
        if self._whole:
            if not self._steps.waits(self.kind, self._key, self._part):
                self._part, self._fresh = place, []
            self._fresh.append(made)
            self._steps.write(self.kind, self._key, Held(self._fresh), self._part)
        return made


@dataclass(frozen=True)
class Scope:
    """A part of a pass: where it keeps its steps, and what they all depend on."""

    steps: KeptSteps
    key: Mapping[str, Any]

    def of(self, **more: Any) -> Scope:
        """A part of this part."""
        return Scope(self.steps, {**self.key, **more})

    def series(self, kind: str) -> Series:
        """Its steps of a kind."""
        return self.steps.series(kind, self.key)

    def drop(self, *kinds: str) -> None:
        """Its steps of these kinds go with the next write: what came of them is kept by then."""
        for kind in kinds:
            self.steps.drop(kind, self.key)

    def by_rows(self, kind: str, x: Array, made: Callable[[Array], Array], at_once: int = 1024) -> Array:
        """What `made` gives for rows, each by itself: so many rows are a step."""
        kept = self.series(kind)
        parts = [kept.step(lambda start=start: {"made": made(x[start : start + at_once])})["made"]
                 for start in range(0, max(1, len(x)), at_once)]  # fmt: skip
        return np.concatenate(parts)


ANYWHERE = Scope(NOWHERE, {})
"""Nothing is kept."""


def _bytes(key: str, held: Held) -> bytes:
    """Sealed: a line of key, JSON and names, then arrays."""
    head = canonical_json({"key": key, "said": dict(held.said), "items": [[*item] for item in held.items]})
    arrays = {f"{place}/{name}": np.array(value, order="C") for place, item in enumerate(held.items) for name, value in item.items()}
    return sealed(head + b"\n" + save(arrays))


def _parsed(data: bytes, key: str) -> Held:
    """Raises FormatError for bytes that are not as they were written, and for those of another step."""
    text, _, arrays = unsealed(data).partition(b"\n")
    head = read_object(text, "its head")
    if head["key"] != key:
        raise FormatError("it is another step's")
    found = load(arrays)
    return Held([{name: found[f"{place}/{name}"] for name in names} for place, names in enumerate(head["items"])], head["said"])
