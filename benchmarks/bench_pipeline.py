"""pack + compile + verify against the bare exporter: what a proven, packed model costs beyond `torch.onnx.export`.

Target: <= 1.5x. The exporter's side is torch.export with a dynamic batch, `torch.onnx.export` of the exported program, and one
file on disk; ours is `ps.pack` and `ps.compile`, which traces the same way and then proves the program on golden rows.
"""

from __future__ import annotations

import gc
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

import portside as ps
from portside.runtimes.timing import table

logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # the bare exporter's remarks on torchvision, at every export
warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")

RATIO = 1.5
ROWS = 64


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """20 -> 64 -> 3."""
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)), torch.randn(ROWS, 20)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """Four convolutions on 3 x 64 x 64."""
    widths = [3, 16, 32, 64, 64]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 10)), torch.rand(ROWS, 3, 64, 64)


def residual(blocks: int = 16) -> tuple[nn.Module, torch.Tensor]:
    """A deeper residual network on 3 x 32 x 32: more nodes to trace."""
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *(_Block(32) for _ in range(blocks)), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(32, 10)), torch.rand(ROWS, 3, 32, 32)  # fmt: skip


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.inner = nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.inner(x))


MODELS = {"MLP": mlp, "CNN": cnn, "residual CNN": residual}


def export(model: nn.Module, example: torch.Tensor, folder: Path) -> None:
    """The bare exporter, as its documentation recommends it."""
    program = torch.export.export(model, (example[:2],), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=False)
    exported = torch.onnx.export(program, dynamo=True, verbose=False)
    assert exported is not None
    exported.save(str(folder / "model.onnx"))


def pipeline(model: nn.Module, example: torch.Tensor, folder: Path) -> dict[str, float]:
    """Portside, from the same module to a proven artifact; seconds per step."""
    start = time.perf_counter()
    package = ps.pack(model, name="bench", examples=example.numpy(), out=folder / "package")
    packed = time.perf_counter()
    ps.compile(package, target="onnx-cpu", out=folder / "artifact")
    return {"pack_s": packed - start, "compile_and_verify_s": time.perf_counter() - packed}


def measure(repeats: int = 3) -> list[dict[str, Any]]:
    """One row per model; both sides in turns, after one unmeasured export that loads what torch loads lazily."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        _fresh(Path(folder), lambda place: pipeline(*_ready(mlp), place))
        _fresh(Path(folder), lambda place: export(*_ready(mlp), place))
        return [_model(name, make, Path(folder), repeats) for name, make in MODELS.items()]


def _model(name: str, make: Callable[[], tuple[nn.Module, torch.Tensor]], folder: Path, repeats: int) -> dict[str, Any]:
    model, example = _ready(make)
    bare: list[float] = []
    ours: list[dict[str, float]] = []
    for _ in range(repeats):
        start = time.perf_counter()
        _fresh(folder, lambda place: export(model, example, place))
        bare.append(time.perf_counter() - start)
        ours.append(_fresh(folder, lambda place: pipeline(model, example, place)))
    totals = [sum(steps.values()) for steps in ours]
    ratios = [one / other for one, other in zip(totals, bare, strict=True)]
    steps = {key: median(held[key] for held in ours) for key in ours[0]}
    return {"model": name, "export_s": median(bare), **steps, "portside_s": median(totals), "ratio": float(np.median(ratios)),
            "ratio_spread": [min(ratios), max(ratios)], "held": float(np.median(ratios)) <= RATIO}  # fmt: skip


def _ready(make: Callable[[], tuple[nn.Module, torch.Tensor]]) -> tuple[nn.Module, torch.Tensor]:
    model, example = make()
    return model.eval(), example


def _fresh(folder: Path, act: Callable[[Path], Any]) -> Any:
    gc.collect()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return act(Path(place))


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    return table([["model", "export s", "pack s", "compile + verify s", "ratio (spread)", f"<= {RATIO}x"], *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    low, high = row["ratio_spread"]
    figures = [f"{row[key]:.2f}" for key in ("export_s", "pack_s", "compile_and_verify_s")]
    return [row["model"], *figures, f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})", "yes" if row["held"] else "no"]


if __name__ == "__main__":
    print(show(measure()))
