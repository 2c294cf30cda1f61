"""Engines that were built on this machine, kept below $PORTSIDE_HOME/cache/tensorrt: building takes minutes, and an engine is good for one
GPU model, one driver and one TensorRT.

The key covers the artifact, the place (`place.py`) and the builder's settings; an entry is an engine and the sha256 of it, checked before
use. Entries appear by one rename, and a broken one is built anew. Several processes that want the same engine wait for the first one that
builds it. A cache that cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...sdk.core.manifest import digest_of
from ..artifact import Artifact
from ..home import home
from .building import Built, Settings
from .place import Place

try:
    import fcntl
except ImportError:  # no locks, no waiting: an engine may be built twice
    fcntl = None  # type: ignore[assignment]

Build = Callable[[bytes], Built]
"""Timings of earlier builds -> a new engine."""


class Engines:
    """The engines of one artifact at one place.

    Args:
        artifact: audited.
        place: of this process.
        settings: of the builder.
    """

    def __init__(self, artifact: Artifact, place: Place, settings: Settings) -> None:
        key = digest_of([artifact.digest, place.to_dict(), settings.to_dict()]).removeprefix("sha256:")
        self.folder = home() / "cache" / "tensorrt" / key
        self._timing = home() / "cache" / "tensorrt" / f"{place.key}.timing"

    def find(self, file: str) -> bytes | None:
        """The engine of an ONNX file; None where there is none, or only a broken one."""
        path = self._path(file)
        with suppress(OSError, ValueError):
            plan, stated = path.read_bytes(), _seal(path).read_text(encoding="ascii").strip()
            if hashlib.sha256(plan).hexdigest() == stated:
                return plan
        return None

    def obtain(self, file: str, build: Build) -> bytes:
        """The engine of an ONNX file, built by one process where there is none. Raises what `build` raises."""
        if (found := self.find(file)) is not None:
            return found
        with self._turn():
            if (found := self.find(file)) is not None:  # another process was first
                return found
            made = build(self._timings())
            with suppress(OSError):
                self._keep(file, made)
        return made.plan

    def forget(self, file: str) -> None:
        """Remove an entry that TensorRT does not take."""
        with suppress(OSError):
            _seal(self._path(file)).unlink()

    def _path(self, file: str) -> Path:
        return self.folder / f"{Path(file).stem}.plan"

    def _timings(self) -> bytes:
        with suppress(OSError):
            return self._timing.read_bytes()
        return b""

    def _keep(self, file: str, made: Built) -> None:
        path = self._path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, made.plan)
        _write(_seal(path), hashlib.sha256(made.plan).hexdigest().encode())
        if made.timing:
            _write(self._timing, made.timing)

    @contextmanager
    def _turn(self) -> Generator[None]:
        """One process builds at a time; without locks, or a folder to lock in, nobody waits."""
        handle = None
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = (self.folder / "lock").open("w", encoding="ascii")
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if handle is not None:
                handle.close()


def _write(path: Path, data: bytes) -> None:
    """By one rename."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(number, "wb") as handle:
            handle.write(data)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - beside os.replace
        raise


def _seal(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
