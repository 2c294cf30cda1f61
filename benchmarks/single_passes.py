"""Single passes taken to a number of bytes: what a combination of passes is held against."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import portside as ps
from portside.compress.base import Pass, PassContext
from portside.runtimes.base import CompileOptions, runtime
from portside.sdk.core.errors import PortsideError
from portside.sdk.core.package import Package

Step = Callable[[float, float], Pass]
"""(share that is left, epochs) -> the pass."""
PARTS = (1.6, 1.4, 1.2, 1.05, 0.97, 0.9, 0.8, 0.7, 0.6)
"""Of the share that the bytes ask for: channels go in eights, so that a pass leaves less than it may, and files hold more than weights."""


def singles(teacher: Package, learn: ps.Data, aim: float, epochs: float, seed: int,
            folder: Path) -> Iterator[tuple[str, Package, dict[str, Any]]]:  # fmt: skip
    """(way, package, about it): one pass each; those that shrink the network taken to at most `aim` MB where they can be, and trained."""
    yield "int8 alone", _ran(ps.Quantize("int8-static"), teacher, learn, seed, folder), {"what": "int8-static", "aim_mb": aim}
    shrinking: dict[str, Step] = {
        "prune alone": lambda share, own: ps.Prune(share, budget="parameters", steps=1, epochs=own),
        "low-rank alone": lambda share, own: ps.LowRank(ratio=share, epochs=own),
    }
    for way, step in shrinking.items():
        share = _share(step, teacher, learn, aim, seed)
        yield way, _ran(step(share, epochs), teacher, learn, seed, folder), {"what": f"{share:.3f} of the parameters", "aim_mb": aim}


def _share(step: Step, teacher: Package, learn: ps.Data, aim: float, seed: int) -> float:
    """The largest share, of a few, whose file is small enough; the smallest that the pass can do where none is."""
    wanted = aim / _size(teacher)
    least: float | None = None
    for part in PARTS:
        size = _sized(step, wanted * part, teacher, learn, seed)
        least = wanted * part if size is not None else least
        if size is not None and size <= aim:
            return wanted * part
    if least is not None:
        return least
    return next(share for power in range(1, 20) if _sized(step, share := wanted * 1.2**power, teacher, learn, seed) is not None)


def _sized(step: Step, share: float, teacher: Package, learn: ps.Data, seed: int) -> float | None:
    """MB of the file at this share; None where the pass cannot do it."""
    if not 0 < share < 1:
        return None
    try:
        with tempfile.TemporaryDirectory() as work:
            return _size(step(share, 0).run(teacher, learn.take(range(600)), PassContext(Path(work) / "made", seed)))
    except PortsideError:
        return None


def _size(package: Package) -> float:
    with tempfile.TemporaryDirectory() as work:
        return runtime("onnx-cpu").compile(package, CompileOptions(verify=False), Path(work) / "artifact").size_bytes / 1e6


def _ran(step: Pass, teacher: Package, learn: ps.Data, seed: int, folder: Path) -> Package:
    return ps.compress(teacher, step, learn, seed=seed, resume=folder)
