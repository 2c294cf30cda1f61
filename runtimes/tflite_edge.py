"""Target `tflite`: LiteRT on a device, lowered by litert-torch on a build machine.

A device needs ai-edge-litert (or tflite-runtime) alone. Compile lowers each stretch between host stages to one `.tflite` file
with a signature per size, in a process of its own; nothing in the artifact depends on the machine that made it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ..sdk.core.errors import FormatError, MissingExtraError
from ..sdk.core.package import Package
from .artifact import Artifact, read_artifact
from .base import CompileOptions, LoadOptions
from .hardware import version_of
from .session import ProgramSession


class TfliteEdge:
    """Entry point "tflite"."""

    name: ClassVar[str] = "tflite"
    extra: ClassVar[str] = "tflite"
    compile_extra: ClassVar[str] = "tflite-compile"
    options: ClassVar[Mapping[str, str]] = {
        "batches": "rows per call of the engine, such as [1, 8]: calls are cut into these (default: [1, 8], or [1] beside other sizes)",
        "sizes": 'sizes of other free dimensions, such as {"sequence": [16, 64]} (default: from the contract and the codec)',
        "source": "what is lowered: auto, pt2 (the program that torch traced) or onnx (default: auto)",
        "timeout_s": "seconds that the whole lowering may take (default: 3600)",
    }

    def missing(self) -> str | None:
        """None when artifacts can be loaded here, otherwise what is not installed. Compiling needs more: the extra `tflite-compile`."""
        if find_spec("ai_edge_litert") is not None:
            return None
        if find_spec("tflite_runtime") is None:
            return "ai-edge-litert"
        numpy = version_of("numpy") or ""
        return None if numpy.startswith("1.") else f"numpy<2 beside tflite-runtime (numpy is {numpy}), or ai-edge-litert"

    def missing_to_compile(self) -> str | None:
        """None when packages can be lowered here, otherwise what is not installed. A native `.tflite` file needs only onnx."""
        from .tflite.lowering import PYTHON  # nothing of the target is loaded before it is asked for

        names = ("onnx", "onnxruntime") if os.environ.get(PYTHON) else ("onnx", "onnxruntime", "torch", "litert_torch")
        return self.missing() or next((name for name in names if find_spec(name) is None), None)

    def compile(self, package: Package, options: CompileOptions, out: Path) -> Artifact:
        """Lower the package into `out`.

        Its own options are `TfliteEdge.options`.

        Raises:
            MissingExtraError: the converter is not installed.
            UnsupportedError: an operator, dtype, dimension or option that the target does not hold, by name.
            EngineError: the converter died, ran out of time, or made another answer.
        """
        options.only(self.name, self.options)
        if find_spec("onnx") is None:
            raise MissingExtraError("Compiling for tflite needs what is not installed here", got="no onnx", extra=self.compile_extra)
        from .tflite.compiling import compile_package  # onnx is loaded by compile alone

        return compile_package(package, self.name, options, out)

    def load(self, artifact: Path, options: LoadOptions) -> ProgramSession:
        """Open a compiled artifact, which the caller has audited. `cache` and `spinning` do not apply.

        Raises:
            FormatError: an artifact of another target.
            TrustError: it has host stages, and `options.trust` is False.
            EngineError: the interpreter refuses the model.
        """
        from .tflite.opening import open_session  # the interpreter is loaded when a session is opened, not when targets are listed

        opened = read_artifact(artifact)
        if opened.target != self.name:
            raise FormatError("The artifact was compiled for another target", got=opened.target, expected=self.name)
        return open_session(opened, options)
