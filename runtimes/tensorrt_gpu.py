"""Target `tensorrt`: NVIDIA's TensorRT on a GPU. Unverified on a GPU so far: see docs/tensorrt.md.

Compile makes the program ready for TensorRT's parser and needs no GPU. An engine is built on the GPU that runs it, kept in a local cache,
and held against the contract before it answers. Where there is no GPU, TensorRT-RTX can build the program as a check; nothing is run
then, and what is written says *unverified on a GPU*.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ..sdk.core.errors import EngineError, FormatError, MissingExtraError
from ..sdk.core.package import Package
from .artifact import Artifact, read_artifact
from .base import CompileOptions, LoadOptions, Missing
from .session import ProgramSession

UNVERIFIED = "unverified on a GPU"
_NO_GPU = ("Run it on a machine with an NVIDIA GPU. A deployment answers by its failover chain meanwhile; "
           "a package can be compiled without one, unproven (--allow-unproven).")  # fmt: skip


class TensorRTGpu:
    """Entry point "tensorrt"."""

    name: ClassVar[str] = "tensorrt"
    extra: ClassVar[str] = "tensorrt"
    compile_extra: ClassVar[str] = "onnx"
    options: ClassVar[Mapping[str, str]] = {
        "batches": "rows per call of the engine: least, usual, largest; longer calls are cut (default: [1, 8, 64])",
        "sizes": 'sizes of other free dimensions, such as {"sequence": [1, 16, 64]} (default: from the contract and the codec)',
        "eight_bits": "what int8-static classes compute in: int8 or float8 (compute capability 8.9 and later) (default: int8)",
        "engine": "portable: built where the artifact is opened; shipped: this GPU's engine travels too (default: portable)",
        "level": "effort of the builder, 0 to 5 (default: 3)",
        "tf32": "float32 products may round to 10 bits (default: false)",
        "workspace_mb": "memory that a layer may use while it runs, in MiB (default: what the GPU has)",
    }

    def missing(self) -> str | None:
        """None when artifacts can be run here, otherwise what is not: a package, or a GPU."""
        from .tensorrt.binding import absent, gpus  # nothing of the target is loaded before it is asked for

        if (name := absent()) is not None:
            return name
        try:
            found = gpus()
        except EngineError as error:
            return Missing(f"TensorRT that loads ({error.what})", f"Run: pip install --upgrade 'portside[{self.extra}]'")
        if isinstance(found, int) and found > 0:
            return None
        return Missing(f"NVIDIA GPU ({found if isinstance(found, str) else 'CUDA finds none'})", _NO_GPU)

    def missing_to_compile(self) -> str | None:
        """None when packages can be made ready here, otherwise what is not installed. That takes no GPU."""
        return next((name for name in ("onnx", "onnxruntime") if find_spec(name) is None), None)

    def unproven(self) -> str | None:
        """None where artifacts run here; otherwise what stays unproven, and why, in words."""
        lacking = self.missing()
        return None if lacking is None else f"{UNVERIFIED}: no {lacking} here"

    def build_check(self, artifact: Path) -> str:
        """How far an artifact was checked without a GPU, in a line.

        Raises UnsupportedError naming the operator that TensorRT-RTX refuses, EngineError where its builder dies.
        """
        from .tensorrt.building import Settings  # as above
        from .tensorrt.checking import NOT_CHECKED, check_build  # onnx is loaded by compile alone
        from .tensorrt.opening import SETTINGS, rims_of  # as above

        held = read_artifact(artifact)
        found = check_build(held.path, rims_of(held), Settings.from_dict(held.engine[SETTINGS]))
        return str(found) if found is not None else NOT_CHECKED

    def compile(self, package: Package, options: CompileOptions, out: Path) -> Artifact:
        """Make the package ready in `out`. Its own options are `TensorRTGpu.options`.

        Raises:
            MissingExtraError: onnx is not installed.
            UnsupportedError: an operator, dimension, stage or option that the target does not hold, by name.
            EngineError: an engine is to be shipped and cannot be built here.
        """
        options.only(self.name, self.options)
        if (name := self.missing_to_compile()) is not None:
            raise MissingExtraError("Compiling for tensorrt needs what is not installed here", got=f"no {name}", extra=self.compile_extra)
        from .tensorrt.compiling import compile_package  # onnx is loaded by compile alone

        return compile_package(package, self.name, options, out)

    def load(self, artifact: Path, options: LoadOptions) -> ProgramSession:
        """Open a compiled artifact, which the caller has audited: its engine is found, or built (minutes), and run on the contract.

        `threads`, `spinning` and `cache` do not apply: an engine is always kept.

        Raises:
            FormatError: an artifact of another target.
            TrustError: it has host stages, and `options.trust` is False.
            MissingExtraError: there is no GPU, or no TensorRT.
            EngineError: TensorRT refuses it, or it ships an engine for another GPU, driver or version.
            ContractError: the engine does not answer like its package on this GPU.
        """
        opened = read_artifact(artifact)
        if opened.target != self.name:
            raise FormatError("The artifact was compiled for another target", got=opened.target, expected=self.name)
        if (lacking := self.missing()) is not None:
            fix = lacking.fix if isinstance(lacking, Missing) else None
            raise MissingExtraError("An artifact for tensorrt cannot run here", got=f"no {lacking}", extra=self.extra, fix=fix)
        from .tensorrt.opening import open_session  # TensorRT is loaded when a session is opened, not when targets are listed

        return open_session(opened, options)
