"""Does IO binding pay on the CPU? The engine's plain call beside one that writes into a bound array, by size of the output.

The model is one Relu, so that copying is all there is to save. docs/decisions/015-no-io-binding.md draws the conclusion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from portside.runtimes.onnx_engine import session_options_of
from portside.runtimes.segments import EngineOptions
from portside.runtimes.timing import interleave, ratio, table

WIDTHS = (16, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 6 << 20)


def measure(repeats: int = 7, seconds: float = 0.2) -> list[dict[str, Any]]:
    """One row per size: medians in us and the ratio of the bound call to the plain one with its spread."""
    rows: list[dict[str, Any]] = []
    for width in WIDTHS:
        found = interleave(calls(width), repeats, seconds)
        middle, low, high = ratio(found["bound"], found["plain"])
        medians = {name: samples.percentile_ms(50) * 1e3 for name, samples in found.items()}
        figures = {f"{name}_us": median for name, median in medians.items()}
        rows.append({"bytes": 4 * width, **figures, "ratio": middle, "spread": [low, high]})
    return rows


def calls(width: int) -> dict[str, Callable[[], object]]:
    """The two ways to run one Relu on (1, width) float32."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = session_options_of(EngineOptions())
    session: Any = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(1, width)).astype(np.float32)

    def bound() -> object:
        binding, y = session.io_binding(), np.empty_like(x)
        binding.bind_cpu_input("x", x)
        binding.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)
        session.run_with_iobinding(binding)
        return y

    return {"plain": lambda: session.run(["y"], {"x": x}), "bound": bound}


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    lines = [[f"{row['bytes']:,}", f"{row['plain_us']:.1f}", f"{row['bound_us']:.1f}",
              f"{row['ratio']:.2f} ({row['spread'][0]:.2f}-{row['spread'][1]:.2f})"] for row in rows]  # fmt: skip
    return table([["bytes of output", "plain us", "bound us", "ratio (spread)"], *lines])


if __name__ == "__main__":
    print(show(measure()))
