"""TensorRT beside the compile for the CPU, and on a GPU beside onnxruntime-gpu's TensorRT provider and torch.compile.

Without a GPU: seconds to make a package ready, seconds of the build check where TensorRT-RTX is installed, and the columns of a GPU stay
empty, unverified. With one: the first opening (the engine is built and proven), the next (it is kept), and one row and 64 in turns. A
rival that fails is an empty cell with its words below; rows are written as they come.

    python benchmarks/bench_tensorrt.py [--short] [--only cnn mlp ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import subjects
from bench_precision import kept

from portside.runtimes.artifact import Artifact
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.bench import golden, of_rows
from portside.runtimes.elsewhere import unproven
from portside.runtimes.hardware import version_of
from portside.runtimes.importers.exported_reading import exported_module
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.subjects import contract_of
from portside.runtimes.tensorrt.binding import bindings
from portside.runtimes.tensorrt.place import here
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.runtimes.timing import interleave, table
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.package import Package, open_folder

PROVIDER = "TensorrtExecutionProvider"
ROWS = (1, 64)
SHORT = ("cnn", "mlp")


def measure(short: bool = False, only: Sequence[str] = (), file: Path | None = None) -> list[dict[str, Any]]:
    """One row per package of the zoo that is built here; `only`: of these; `file`: see `kept`."""
    found = sorted(path for path in subjects.PACKAGES.glob("*") if (path / "manifest.json").is_file())
    if not found:
        raise FileNotFoundError("no package of the zoo is built here: portside verify examples/zoo")
    wanted = only or (SHORT if short else [path.name for path in found])
    return kept((_package(path) for path in found if path.name in wanted), file)


def show(rows: list[dict[str, Any]]) -> str:
    """Seconds and milliseconds; empty where nothing was run. Below, where it was run, and which rival failed how."""
    gpu = [f"{way}, {count}" for count in ROWS for way in ("portside", "onnxruntime", "torch.compile")]
    head = ["package", "ready s", "for the CPU s", "build check", "opened s", "again s", *(f"{name} ms" for name in gpu)]
    lines = [[row["package"], _figure(row["ready_s"]), _figure(row["cpu_s"]), row["check"], _figure(row.get("opened_s")),
              _figure(row.get("again_s")), *(_figure(row.get("p50_ms", {}).get(name)) for name in gpu)] for row in rows]  # fmt: skip
    places = dict.fromkeys(f"{row['place']}, {row['versions']}" for row in rows if "place" in row)
    failed = [f"{row['package']}: {name}: {why}" for row in rows for name, why in row.get("failed", {}).items()]
    note = next((row["unproven"] for row in rows if row["unproven"]), None)
    return "\n\n".join(filter(None, [table([head, *lines]), "\n".join([*places, *failed]), note]))


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
        if row["unproven"]:
            return row
        os.environ["PORTSIDE_HOME"] = str(Path(folder) / "home")  # nothing is kept from an earlier run: the first opening builds
        failed = dict[str, str]()
        found = _tried("portside", failed, lambda: _on_gpu(package, artifact, failed)) or {}
        return {**row, **found, **_where(), "failed": failed}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    made = call()
    return time.monotonic() - started, made


def _where() -> dict[str, str]:
    """GPU, driver and versions: what the docs say beside figures."""
    return {"place": str(here(bindings())), "versions": ", ".join(f"{name} {version_of(name)}" for name in ("onnxruntime", "torch"))}


def _on_gpu(package: Package, artifact: Artifact, failed: dict[str, str]) -> dict[str, Any]:
    """Seconds of both openings, and latencies in turns. Run on a simulated GPU alone so far: unverified on a real one."""
    first, session = _timed(lambda: TensorRTGpu().load(artifact.path, LoadOptions(door=False)))
    session.close()
    again, session = _timed(lambda: TensorRTGpu().load(artifact.path, LoadOptions(door=False)))
    latencies = dict[str, float]()
    with closing(session):
        rivals = {name: made for name, make in RIVALS.items() if (made := _tried(name, failed, lambda make=make: make(package, artifact)))}
        for rows in ROWS:
            inputs = of_rows(package.signature, golden(contract_of(package)), rows)
            if inputs is None:
                continue
            calls: dict[str, Callable[[], object]] = {f"portside, {rows}": lambda inputs=inputs: session.run(inputs)}
            for name, rival in rivals.items():
                if _tried(f"{name}, {rows}", failed, lambda rival=rival, inputs=inputs: [rival(inputs)]):
                    calls[f"{name}, {rows}"] = lambda rival=rival, inputs=inputs: rival(inputs)
            latencies |= {name: taken.percentile_ms(50) for name, taken in interleave(calls).items()}
    return {"opened_s": first, "again_s": again, "p50_ms": latencies}


def _tried(name: str, failed: dict[str, str], call: Callable[[], Any]) -> Any:
    """What a side makes; None where it is not there, or fails in whatever way: that is told, and the others are measured."""
    try:
        return call()
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return None


def _provider(package: Package, artifact: Artifact) -> Callable[[Any], object] | None:
    """The same ONNX file in ONNX Runtime's own provider; None without it, and for programs of several segments."""
    files = [data["file"] for data in artifact.engine["segments"]]
    if PROVIDER not in ort.get_available_providers() or len(files) != 1:
        return None
    held = ort.InferenceSession(str(artifact.path / files[0]), providers=[PROVIDER, "CUDAExecutionProvider"])
    names = [value.name for value in held.get_inputs()]
    return lambda inputs: held.run(None, {name: inputs[name] for name in names})


def _compiled(package: Package, artifact: Artifact) -> Callable[[Any], object] | None:
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

    return call


RIVALS: dict[str, Callable[[Package, Artifact], Callable[[Any], object] | None]] = {"onnxruntime": _provider, "torch.compile": _compiled}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two small packages")
    parser.add_argument("--only", nargs="*", default=(), help="packages")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.only, asked.json)))
