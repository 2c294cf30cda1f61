"""Target `onnx-cpu`: ONNX Runtime on the CPU of a server or a device.

Compile merges the program into one ONNX model per stretch between host stages, with trees lowered to `ai.onnx.ml`, and
nothing that depends on the machine. What depends on it (ONNX Runtime's own optimised graph) may be kept in a local cache.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ..sdk.core.errors import FormatError
from ..sdk.core.package import Package
from .artifact import Artifact, begin, finish, read_artifact
from .base import CompileOptions, LoadOptions
from .hardware import built_on, int8_sums_here
from .precision.onnx_range import OPTION, reduced, warning_of
from .segments import EngineOptions
from .session import ProgramSession


class OnnxCpu:
    """Entry point "onnx-cpu"."""

    name: ClassVar[str] = "onnx-cpu"
    extra: ClassVar[str] = "onnx"
    smooths: ClassVar[bool] = True
    options: ClassVar[Mapping[str, str]] = {
        OPTION: "7-bit weights in int8 classes, exact on CPUs without VNNI: auto (where the compiling CPU is one), on, off (default: auto)",
    }

    def missing(self) -> str | None:
        """None when the target works here, otherwise the name of what is not installed."""
        return next((name for name in ("onnxruntime", "onnx") if find_spec(name) is None), None)

    def compile(self, package: Package, options: CompileOptions, out: Path) -> Artifact:
        """Lower the package into `out`. Its own options are `OnnxCpu.options`.

        Raises UnsupportedError for a stage, boundary or option that the target does not have.
        """
        from .assemble import assemble  # onnx is loaded by compile alone
        from .onnx_files import file_dtypes, write_model  # as above
        from .precision.onnx_lower import OnnxPrecision  # as above

        options.only(self.name, self.options)
        precision = OnnxPrecision(package, *reduced(options.extra.get(OPTION, "auto"), int8_sums_here()))
        parts = assemble(package, self.name, options.taps, precision=precision)
        artifact = begin(package, self.name, out)
        for part in parts:
            if part.model is not None:
                write_model(part.model, out / part.spec.file)
        engine = {
            "segments": [part.spec.to_dict() for part in parts],
            "taps": {tap: list(package.content.boundaries[tap]) for tap in options.taps},
            "weights_bytes": file_dtypes(out / part.spec.file for part in parts if part.model is not None),
        }
        return finish(artifact, engine=engine | precision.record(), lossy=precision.lossy, built=built_on("onnx", "onnxruntime"))

    def load(self, artifact: Path, options: LoadOptions) -> ProgramSession:
        """Open a compiled artifact, which the caller has audited. Warns where this CPU's sums of int8 are others than the file means.

        Raises:
            FormatError: an artifact of another target.
            TrustError: it has host stages, and `options.trust` is False.
            EngineError: ONNX Runtime refuses the model.
        """
        from .onnx_cache import Cache  # onnxruntime is loaded when a session is opened, not when targets are listed
        from .opening import open_artifact_session  # as above

        opened = read_artifact(artifact)
        if opened.target != self.name:
            raise FormatError("The artifact was compiled for another target", got=opened.target, expected=self.name)
        if told := warning_of(opened.engine.get("precision", {}), int8_sums_here()):
            warnings.warn(told, RuntimeWarning, stacklevel=2)
        engine = EngineOptions(threads=options.threads, spinning=options.spinning)
        locate = Cache(opened, engine).locate if options.cache else None
        return open_artifact_session(opened, options, engine, locate)
