"""A local cache of ONNX Runtime's optimised graphs, which hold operators chosen for one CPU and one engine version.

The key covers the artifact, the CPU's features, the engine's version and the options; an entry is a model and the sha256
of it, checked before use. Entries appear by one rename. A broken entry is made anew, and a cache that cannot be written is done
without: it saves time at start and never decides an answer.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from ..sdk.core.errors import EngineError
from ..sdk.core.manifest import digest_of
from .artifact import Artifact, entry_of
from .hardware import cpu_features, version_of
from .home import home
from .onnx_engine import OnnxEngine
from .segments import EngineOptions

LARGEST = 1 << 30
"""Models with external weights are larger than this; they are not cached."""


class Cache:
    """Optimised models of one artifact.

    Args:
        artifact: audited.
        engine: options of the engine; a cached model is opened with the same ones, and optimised no further.
    """

    def __init__(self, artifact: Artifact, engine: EngineOptions) -> None:
        self._artifact, self._engine = artifact, engine
        key = digest_of([artifact.digest, list(cpu_features()), version_of("onnxruntime"), engine.optimize])
        self.folder = home() / "cache" / "onnx-cpu" / key.removeprefix("sha256:")

    def locate(self, file: str) -> tuple[Path, EngineOptions]:
        """The model to open for the segment `file`, and how: the cached one where there is or can be one."""
        original = self._artifact.path / file
        if self._artifact.files[file].size >= LARGEST or _has_weights(self._artifact, file):
            return original, self._engine
        cached = self.folder / Path(file).name
        if not _intact(cached) and not self._fill(original, cached):
            return original, self._engine
        return cached, replace(self._engine, optimize="none")

    def _fill(self, original: Path, cached: Path) -> bool:
        """Optimise `original` into the cache; False where the disk does not let us."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as staging:
                made = Path(staging) / cached.name
                OnnxEngine(original, replace(self._engine, save_optimized=made)).close()
                seal = Path(staging) / "sha256"
                seal.write_text(entry_of(made).sha256, encoding="ascii")
                os.replace(made, cached)
                os.replace(seal, _seal(cached))
        except (OSError, EngineError):
            return False
        return _intact(cached)


def _seal(cached: Path) -> Path:
    return cached.with_name(f"{cached.name}.sha256")


def _intact(cached: Path) -> bool:
    try:
        stated = _seal(cached).read_text(encoding="ascii").strip()
        return hashlib.sha256(cached.read_bytes()).hexdigest() == stated
    except (OSError, ValueError):
        return False


def _has_weights(artifact: Artifact, file: str) -> bool:
    return file.removesuffix(".onnx") + ".weights" in artifact.files
