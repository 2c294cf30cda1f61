"""The reference runtime: the truth that every other target is compared with, and what `Package.predict` answers with.

Every stage runs as it stands in the package: graphs on ONNX Runtime with all graph optimisations off, one thread,
deterministic kernels; trees in numpy from their arrays; host stages in Python; a native file in its own engine.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ..sdk.core.errors import FormatError
from ..sdk.core.package import Package
from .artifact import Artifact, begin, finish, read_artifact
from .base import CompileOptions, LoadOptions, lack
from .hardware import built_on
from .segments import EngineOptions, stage_segment
from .session import ProgramSession, describe

_ENGINE = EngineOptions(threads=1, optimize="none", deterministic=True)


class Reference:
    """Entry point "reference"."""

    name: ClassVar[str] = "reference"
    extra: ClassVar[str] = "onnx"

    def missing(self) -> str | None:
        """None when the target works here, otherwise the name of what is not installed."""
        return None if find_spec("onnxruntime") else "onnxruntime"

    def open(self, package: Package, door: bool = True, engine: EngineOptions = _ENGINE) -> ProgramSession:
        """A session on the package itself, without a compile. `engine` other than the default is faster, and no reference.

        Raises TrustError for host stages of a package that was not opened with trust, MissingExtraError without ONNX Runtime.
        """
        if lacking := lack(self):
            raise lacking
        from .opening import open_segments  # onnxruntime is loaded when a session is opened, not when targets are listed

        package.require_trust()
        specs = [stage_segment(stage, stage.file) for stage in package.content.stages]
        host = any(spec.kind == "host" for spec in specs)
        info = describe(package.signature, self.name, package.digest, batch_invariant=False, host=host, cancellable=True)
        return ProgramSession(
            info, open_segments(specs, package.path, package.trusted, engine),
            codec=package.content.codec, read=package.read, door=door,
        )  # fmt: skip

    def compile(self, package: Package, options: CompileOptions, out: Path) -> Artifact:
        """Copy the program, so that the reference can travel and be benchmarked like any artifact. No taps, no options."""
        options.only(self.name, ())
        if options.taps:
            raise FormatError("The reference runtime has no taps", got=", ".join(options.taps), fix="Use target onnx-cpu.")
        artifact = begin(package, self.name, out)
        for name in package.content.files:
            if name.startswith("program/"):
                shutil.copyfile(package.path / name, out / _engine_file(name))
        segments = [stage_segment(stage, _engine_file(stage.file)).to_dict() for stage in package.content.stages]
        return finish(artifact, engine={"segments": segments}, built=built_on("onnxruntime"))

    def load(self, artifact: Path, options: LoadOptions) -> ProgramSession:
        """Open an artifact of this target; `threads` and `cache` do not apply to a reference."""
        from .opening import open_artifact_session  # as in `open`

        return open_artifact_session(read_artifact(artifact), options, _ENGINE)


def _engine_file(name: str) -> str:
    return name.replace("program/", "engine/", 1)
