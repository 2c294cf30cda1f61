"""Session.run against the bare engine's call: what names, doors and dtypes cost on top of ONNX Runtime.

Target: <= 1.05x, or +10 us. Both sides run in turns in one process, on the same model file with the same engine options.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from portside.runtimes import samples
from portside.runtimes.canvas import canvases, pad_all
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.onnx_engine import session_options_of
from portside.runtimes.samples import Sample, graph_model, node
from portside.runtimes.segments import EngineOptions
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core.contract import Rule
from portside.sdk.core.signature import NUMPY, Signature, TensorSpec

RATIO, EXTRA_US = 1.05, 10.0


def tiny() -> Sample:
    """4 -> 3 linear model on float32: the engine's call itself is a few us."""
    signature = Signature((TensorSpec("x", "f32", ("batch", 4)),), (TensorSpec("y", "f32", ("batch", 3), kind="value"),))
    weight = np.ones((4, 3), np.float32)
    model = graph_model(signature, [node("MatMul", ["x", "weight"], "y")], {"weight": weight})
    return _sample("tiny", model, signature, lambda inputs: {"y": inputs["x"] @ weight}, (4,))


def network(width: int = 1024, layers: int = 8) -> Sample:
    """A stack of wide layers: about a millisecond."""
    signature = Signature((TensorSpec("x", "f32", ("batch", width)),), (TensorSpec("y", "f32", ("batch", width), kind="value"),))
    weight = np.random.default_rng(0).normal(0, width**-0.5, (width, width)).astype(np.float32)
    nodes = [node("MatMul", ["x" if i == 0 else f"h{i}", "weight"], "y" if i == layers - 1 else f"h{i + 1}") for i in range(layers)]

    def truth(inputs: Mapping[str, Any]) -> dict[str, Any]:
        held = inputs["x"]
        for _ in range(layers):
            held = held @ weight
        return {"y": held}

    return _sample("network", graph_model(signature, nodes, {"weight": weight}), signature, truth, (width,))


def _sample(name: str, model: Any, signature: Signature, truth: Callable[..., dict[str, Any]], shape: tuple[int, ...]) -> Sample:
    def inputs(rows: int) -> dict[str, Any]:
        return {"x": np.random.default_rng(rows).normal(size=(rows, *shape)).astype(np.float32)}

    return Sample(name, signature, model, truth, inputs, {"y": Rule("value")})


CASES: list[tuple[str, Callable[[], Sample], int]] = [
    ("tiny", tiny, 1), ("tiny", tiny, 256), ("mixed", samples.mixed, 1), ("mixed", samples.mixed, 64), ("network", network, 1),
    ("network", network, 32), ("canvas", samples.canvas, 1),
]  # fmt: skip


def measure(repeats: int = 7, seconds: float = 0.3) -> list[dict[str, Any]]:
    """One row per case: medians in us, their ratio with its spread over repeats, and what the session adds."""
    with tempfile.TemporaryDirectory() as folder:
        return [_case(Path(folder) / f"{index}", *case, repeats, seconds) for index, case in enumerate(CASES)]


def _case(folder: Path, name: str, make: Callable[[], Sample], rows: int, repeats: int, seconds: float) -> dict[str, Any]:
    sample = make()
    artifact = compile_package(sample.write(folder / "package"), out=folder / "artifact")
    inputs = sample.inputs(rows)
    with_door, without = load(artifact), load(artifact, door=False)
    typed = {spec.name: np.asarray(inputs[spec.name], NUMPY[spec.rim_dtype]) for spec in sample.signature.inputs}
    rim = pad_all(canvases(sample.signature), typed)  # what the engine itself is fed
    bare = ort.InferenceSession(str(artifact.path / "engine" / "00-main.onnx"), session_options_of(EngineOptions()),
                                providers=["CPUExecutionProvider"])  # fmt: skip
    calls = {"bare": lambda: bare.run(None, rim), "session": lambda: with_door.run(inputs), "no door": lambda: without.run(typed)}
    found = interleave(calls, repeats, seconds)
    middle, low, high = ratio(found["session"], found["bare"])
    medians = {key: samples.percentile_ms(50) * 1000 for key, samples in found.items()}
    added = medians["session"] - medians["bare"]
    return {"model": name, "rows": rows, "bare_us": medians["bare"], "session_us": medians["session"], "no_door_us": medians["no door"],
            "ratio": middle, "ratio_spread": [low, high], "added_us": added, "held": middle <= RATIO or added <= EXTRA_US}  # fmt: skip


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["model x rows", "bare us", "session us", "without door us", "ratio (spread)", "added us", f"<= {RATIO}x or +{EXTRA_US:.0f} us"]
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    figures = [f"{row[key]:.1f}" for key in ("bare_us", "session_us", "no_door_us")]
    low, high = row["ratio_spread"]
    return [f"{row['model']} x {row['rows']}", *figures, f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})", f"{row['added_us']:+.1f}",
            "yes" if row["held"] else "no"]  # fmt: skip


if __name__ == "__main__":
    print(show(measure()))
