"""TensorRT beside the compile for the CPU, and on a GPU beside onnxruntime-gpu's TensorRT provider and torch.compile.

Without a GPU: seconds to make a package ready, seconds of the build check where TensorRT-RTX is installed, and the columns of a GPU stay
empty, unverified. With one: the first opening (the engine is built and proven), the next (it is kept), and one row and 64 in turns.

    python benchmarks/bench_tensorrt.py [--short]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import subjects

from portside.runtimes.artifact import Artifact
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.bench import golden, of_rows
from portside.runtimes.elsewhere import unproven
from portside.runtimes.importers.exported_reading import exported_module
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.subjects import contract_of
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.runtimes.timing import interleave, table
from portside.sdk.core.errors import PortsideError, UnsupportedError
from portside.sdk.core.package import Package, open_folder

PROVIDER = "TensorrtExecutionProvider"
ROWS = (1, 64)
SHORT = ("cnn", "mlp")


def measure(short: bool = False) -> list[dict[str, Any]]:
    """One row per package of the zoo that is built here."""
    found = sorted(path for path in subjects.PACKAGES.glob("*") if (path / "manifest.json").is_file())
    if not found:
        raise FileNotFoundError("no package of the zoo is built here: portside verify examples/zoo")
    return [_package(path) for path in found if not short or path.name in SHORT]


def show(rows: list[dict[str, Any]]) -> str:
    """Seconds and milliseconds; empty where nothing was run."""
    gpu = [f"{way}, {count}" for count in ROWS for way in ("portside", "onnxruntime", "torch.compile")]
    head = ["package", "ready s", "for the CPU s", "build check", "opened s", "again s", *(f"{name} ms" for name in gpu)]
    lines = [[row["package"], _figure(row["ready_s"]), _figure(row["cpu_s"]), row["check"], _figure(row.get("opened_s")),
              _figure(row.get("again_s")), *(_figure(row.get("p50_ms", {}).get(name)) for name in gpu)] for row in rows]  # fmt: skip
    note = next((row["unproven"] for row in rows if row["unproven"]), None)
    return "\n\n".join(filter(None, [table([head, *lines]), note]))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _package(path: Path) -> dict[str, Any]:
    package, target = open_folder(path), TensorRTGpu()
    row: dict[str, Any] = {"package": path.name, "ready_s": None, "cpu_s": None, "check": "", "unproven": unproven(target)}
    with tempfile.TemporaryDirectory() as folder:
        try:
            row["ready_s"], artifact = _timed(lambda: target.compile(package, CompileOptions(), Path(folder) / "gpu"))
            row["cpu_s"], _ = _timed(lambda: OnnxCpu().compile(package, CompileOptions(), Path(folder) / "cpu"))
            took, said = _timed(lambda: target.build_check(artifact.path))
            row["check"] = f"{took:.1f} s" if "passed" in said else "not installed"
        except UnsupportedError as error:
            return {**row, "check": f"refused: {error.what[:60]}"}
        return row if row["unproven"] else {**row, **_on_gpu(package, artifact)}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    made = call()
    return time.monotonic() - started, made


def _on_gpu(package: Package, artifact: Artifact) -> dict[str, Any]:
    """Seconds of both openings, and latencies in turns. Unverified: written where there was no GPU."""
    first, session = _timed(lambda: TensorRTGpu().load(artifact.path, LoadOptions(door=False)))
    session.close()
    again, session = _timed(lambda: TensorRTGpu().load(artifact.path, LoadOptions(door=False)))
    rivals = [rival for rival in (_provider(artifact), _compiled(package)) if rival is not None]
    latencies: dict[str, float] = {}
    for rows in ROWS:
        inputs = of_rows(package.signature, golden(contract_of(package)), rows)
        if inputs is None:
            continue
        calls: dict[str, Callable[[], object]] = {f"portside, {rows}": lambda inputs=inputs: session.run(inputs)}
        for name, call in rivals:
            with suppress(RuntimeError, PortsideError):  # a rival that does not hold the package is an empty cell
                call(inputs)
                calls[f"{name}, {rows}"] = lambda call=call, inputs=inputs: call(inputs)
        latencies |= {name: taken.percentile_ms(50) for name, taken in interleave(calls).items()}
    session.close()
    return {"opened_s": first, "again_s": again, "p50_ms": latencies}


def _provider(artifact: Artifact) -> tuple[str, Callable[[Any], object]] | None:
    """The same ONNX file in ONNX Runtime's own provider; None without it, and for programs of several segments."""
    files = [data["file"] for data in artifact.engine["segments"]]
    if PROVIDER not in ort.get_available_providers() or len(files) != 1:
        return None
    held = ort.InferenceSession(str(artifact.path / files[0]), providers=[PROVIDER, "CUDAExecutionProvider"])
    names = [value.name for value in held.get_inputs()]
    return "onnxruntime", lambda inputs: held.run(None, {name: inputs[name] for name in names})


def _compiled(package: Package) -> tuple[str, Callable[[Any], object]] | None:
    """The traced program through torch.compile on CUDA; None where there is no program, or no CUDA in torch."""
    import torch  # seconds, and only where there is a GPU

    module = exported_module(package) if torch.cuda.is_available() else None
    if not isinstance(module, torch.nn.Module):
        return None
    inner, names = torch.compile(module.cuda()), module.inputs

    def call(inputs: Any) -> object:
        with torch.inference_mode():
            made = inner(*(torch.from_numpy(np.ascontiguousarray(inputs[name])).cuda() for name in names))
            return [tensor.cpu() for tensor in made]

    return "torch.compile", call


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two small packages")
    print(show(measure(parser.parse_args().short)))
