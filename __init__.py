"""Portside: pack a model once, prove it on every target, serve it with a fallback, ship it to devices.

Names load on first use, so that `import portside` stays light and an install without an extra still works.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import edge
    from .cloud.label import label
    from .cloud.monitor import Finding, Monitor
    from .cloud.service import service
    from .compress.compressing import compress
    from .compress.distil import Distil
    from .compress.forest import Forest
    from .compress.ladder_report import ladder_report
    from .compress.low_rank import LowRank
    from .compress.prune import Prune
    from .compress.qat import QAT
    from .compress.quantize import Quantize
    from .compress.recipe import Recipe
    from .compress.search import search
    from .compress.training.spec import Schedule, Training
    from .runtimes.audit import audit
    from .runtimes.bench import bench
    from .runtimes.compiling import compile  # noqa: A004
    from .runtimes.evaluate import evaluate
    from .runtimes.importers import image_ops as image
    from .runtimes.loading import load
    from .runtimes.releasing import release
    from .runtimes.verify import verify
    from .sdk.core import errors
    from .sdk.core.budget import Budget
    from .sdk.core.codec import face as codec
    from .sdk.core.data import Data
    from .sdk.core.expectations import Direction, Invariance, Perturbation
    from .sdk.core.infer import signature
    from .sdk.core.package import Package
    from .sdk.core.release import Release
    from .sdk.core.signature import Signature
    from .sdk.dataset import dataset
    from .sdk.opening import open  # noqa: A004
    from .sdk.pack import Image, pack
    from .sdk.signing.signing import Signing
    from .sdk.store import Store

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read by ONNX Runtime when it is loaded: its builds report to Microsoft otherwise

__version__ = "0.1.0"
__all__ = [
    "QAT", "Budget", "Data", "Direction", "Distil", "Finding", "Forest", "Image", "Invariance", "LowRank", "Monitor", "Package",
    "Perturbation", "Prune", "Quantize", "Recipe", "Release", "Schedule", "Signature", "Signing", "Store", "Training", "audit", "bench",
    "codec", "compile", "compress", "dataset", "edge", "errors", "evaluate", "image", "label", "ladder_report", "load", "open", "pack",
    "release", "search", "service", "signature", "verify",
]  # fmt: skip

_WHERE = {
    "Budget": ".sdk.core.budget",
    "Data": ".sdk.core.data",
    "Direction": ".sdk.core.expectations",
    "Distil": ".compress.distil",
    "Finding": ".cloud.monitor",
    "Forest": ".compress.forest",
    "Image": ".sdk.pack",
    "Invariance": ".sdk.core.expectations",
    "LowRank": ".compress.low_rank",
    "Monitor": ".cloud.monitor",
    "Package": ".sdk.core.package",
    "Perturbation": ".sdk.core.expectations",
    "Prune": ".compress.prune",
    "QAT": ".compress.qat",
    "Quantize": ".compress.quantize",
    "Recipe": ".compress.recipe",
    "Release": ".sdk.core.release",
    "Schedule": ".compress.training.spec",
    "Signature": ".sdk.core.signature",
    "Signing": ".sdk.signing.signing",
    "Store": ".sdk.store",
    "Training": ".compress.training.spec",
    "audit": ".runtimes.audit",
    "bench": ".runtimes.bench",
    "compile": ".runtimes.compiling",
    "dataset": ".sdk.dataset",
    "evaluate": ".runtimes.evaluate",
    "label": ".cloud.label",
    "ladder_report": ".compress.ladder_report",
    "load": ".runtimes.loading",
    "open": ".sdk.opening",
    "pack": ".sdk.pack",
    "release": ".runtimes.releasing",
    "search": ".compress.search",
    "service": ".cloud.service",
    "signature": ".sdk.core.infer",
    "verify": ".runtimes.verify",
}
_MODULES = {
    "codec": ".sdk.core.codec.face", "compress": ".compress", "edge": ".edge", "errors": ".sdk.core.errors",
    "image": ".runtimes.importers.image_ops",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        value: Any = import_module(_MODULES[name], __name__)
    elif name in _WHERE:
        value = getattr(import_module(_WHERE[name], __name__), name)
    else:
        raise AttributeError(f"module 'portside' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
