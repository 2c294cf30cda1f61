"""Olive's quantization passes on one ONNX file, for as many minutes as it is given; run by the Python of an environment of its own.

    /tmp/olive-venv/bin/python benchmarks/olive_runner.py JOB.json

JOB.json: {"model": FILE, "rows": NPZ of inputs by name, "out": FOLDER, "minutes": NUMBER}. Writes OUT/olive.json: a list of {"settings",
"file", "seconds"} or {"settings", "error"}. Nothing of Portside is imported here, and Olive is asked to report nothing to its makers.

    python -m venv /tmp/olive-venv && /tmp/olive-venv/bin/pip install olive-ai==0.13.0 onnxruntime==1.31.1 requests
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("MinMax", "Percentile", "Entropy")
STATIC = [{"calibrate_method": method, "per_channel": channel} for channel in (True, False) for method in METHODS]
"""What its documentation names for a CPU; activations are uint8 and weights int8, ONNX Runtime's advice for x86."""
PRODUCTS = ["MatMul", "Gemm"]
"""Dynamic quantization of convolutions is several times slower than float."""
HISTOGRAM_ROWS = 64
"""Its histograms keep every activation of every row in memory."""


class Rows:
    """Calibration rows as a sequence of ({input: array}, label), which is what its data loaders hand over."""

    def __init__(self, inputs: dict[str, Any], batch: int = 8) -> None:
        size = len(next(iter(inputs.values())))
        self._batches = [{name: held[start : start + batch] for name, held in inputs.items()} for start in range(0, size, batch)]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, place: int) -> tuple[dict[str, Any], int]:
        return self._batches[place], 0


def main() -> None:
    """Run the job."""
    os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
    job = json.loads(Path(sys.argv[1]).read_text())
    out, deadline = Path(job["out"]), time.monotonic() + 60 * job["minutes"]
    rows = dict(np.load(job["rows"]))
    found: list[dict[str, Any]] = []
    for name, options in attempts():
        if time.monotonic() >= deadline:
            break
        began = time.monotonic()
        said = [value if key == "calibrate_method" else "" if value else "per tensor" for key, value in options.items()]
        settings = " ".join([name.removeprefix("Onnx"), *filter(None, said)])
        try:
            file = quantized(name, dict(options), job["model"], rows, out / f"{len(found)}")
            found.append({"settings": settings, "file": str(file), "seconds": time.monotonic() - began})
        except Exception as error:  # what stops it is what this file is there to find out
            found.append({"settings": settings, "error": f"{type(error).__name__}: {error}"[:500], "trace": traceback.format_exc()[-1500:]})
        (out / "olive.json").write_text(json.dumps(found, indent=1))


def attempts() -> list[tuple[str, dict[str, Any]]]:
    """(pass, options), the likeliest first."""
    static = [("OnnxStaticQuantization", options) for options in STATIC]
    dynamic = [("OnnxDynamicQuantization", {"per_channel": channel, "op_types_to_quantize": PRODUCTS}) for channel in (True, False)]
    return [static[0], dynamic[0], ("OnnxFloatToFloat16", {}), *static[1:], dynamic[1]]


def quantized(name: str, options: dict[str, Any], model: str, rows: dict[str, Any], out: Path) -> Path:
    """The file that one pass makes."""
    places = ("data.config", "data.registry", "hardware", "model", "package_config", "passes.olive_pass")
    data, registry, hardware, handlers, packages, passes = (import_module(f"olive.{place}") for place in places)
    if name == "OnnxStaticQuantization":
        few = rows if options["calibrate_method"] == "MinMax" else {key: held[:HISTOGRAM_ROWS] for key, held in rows.items()}
        registry.Registry.register_dataset("calibration_rows")(lambda **_: Rows(few))
        given = data.DataConfig(name="calibration", load_dataset_config={"type": "calibration_rows"},
                                dataloader_config={"type": "no_auto_batch_dataloader"})  # fmt: skip
        options |= {"data_config": given, "quant_format": "QDQ", "activation_type": "uint8", "precision": "int8"}
    kind = packages.OlivePackageConfig.load_default_config().import_pass_module(name)
    cpu = hardware.AcceleratorSpec("cpu", "CPUExecutionProvider")
    step = passes.create_pass_from_dict(kind, options, disable_search=True, accelerator_spec=cpu)
    return Path(step.run(handlers.ONNXModelHandler(model), str(out)).model_path)


if __name__ == "__main__":
    main()
