"""The packages of NVIDIA that the runtime stands on: `tensorrt` (11) and `cuda.bindings.runtime`, loaded when they are needed.

Both are called as their own documentation says and nothing is patched, so that a simulated engine with the same signatures can take
their place in tests. CUDA's calls return a tuple whose first part is an error code: `ask` raises it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ...sdk.core.errors import EngineError

TENSORRT, CUDA = "tensorrt", "cuda.bindings.runtime"
PACKAGES = (("tensorrt", TENSORRT), ("cuda-bindings", CUDA))
"""What pip installs, and the module that it brings."""


@dataclass(frozen=True)
class Bindings:
    """Both packages, loaded."""

    trt: Any
    cuda: Any

    def ask(self, call: str, *arguments: Any) -> Any:
        """A call of CUDA: its value, its values, or None. Raises EngineError with CUDA's own words."""
        code, *values = getattr(self.cuda, call)(*arguments)
        if int(code) != 0:
            raise self.fault(call, code)
        return values[0] if len(values) == 1 else tuple(values) or None

    def fault(self, call: str, code: Any) -> EngineError:
        """The error of a call that returned this code."""
        _, told = self.cuda.cudaGetErrorString(code)
        words = told.decode() if isinstance(told, bytes) else str(told)
        fix = "Other processes may hold the GPU's memory: see nvidia-smi." if "memory" in words else None
        return EngineError(f"CUDA failed in {call}: {words}", got=getattr(code, "name", str(code)), fix=fix)


def bindings() -> Bindings:
    """Both packages. Raises EngineError for one that is installed and cannot be loaded."""
    try:
        return Bindings(import_module(TENSORRT), import_module(CUDA))
    except (ImportError, OSError) as error:  # bindings whose libraries are missing fail in either way
        raise EngineError(f"TensorRT cannot be loaded: {error}", fix="Run: pip install --upgrade 'portside[tensorrt]'") from error


def absent() -> str | None:
    """The first package that is not installed, as pip calls it; None where both are."""
    return next((name for name, module in PACKAGES if not _found(module)), None)


def gpus() -> int | str:
    """How many GPUs there are, or CUDA's words for why none can be used."""
    held = bindings()
    code, count = held.cuda.cudaGetDeviceCount()
    if int(code) != 0:
        return str(held.fault("cudaGetDeviceCount", code).what).partition(": ")[2]
    return int(count)


def _found(module: str) -> bool:
    """A module with a file: a folder of that name that lies about is none."""
    try:
        spec = find_spec(module)
        return spec is not None and spec.origin is not None
    except (ModuleNotFoundError, ValueError):  # a parent that is not there; a stand-in without a spec
        return False


def logger_of(trt: Any, keep: Callable[[str], None]) -> Any:
    """A logger that keeps errors and warnings and prints nothing. TensorRT wants a class of its own kind."""

    class Kept(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                keep(msg)

    return Kept()
