"""Precision: what int8 costs and saves on real models, on every target, beside ONNX Runtime's own quantizer used by hand.

Aims: visual inspection on onnx-cpu <= 0.60x latency, <= 0.28x bytes, AUC drop <= 0.5 points; MiniLM <= 0.5x latency at a cosine of at least
.99. Latency is interleaved with the float artifact on one thread; answers are compared row by row with the float package's; three
seeds choose the calibration rows, everything else is the same on both sides.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

import portside as ps
from portside.compress.ladder import Climb, Ladder
from portside.compress.settings import Settings
from portside.compress.trials import Trial, Workbench
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core import statistics as stats
from portside.sdk.core.package import Package
from portside.sdk.core.plan import Precision

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
sys.path[:0] = [str(EXAMPLES / "zoo"), str(EXAMPLES / "visual_inspection")]
SEEDS = (0, 1, 2)
CLASSES: tuple[Precision, ...] = ("float16", "int8-dynamic", "int8-static", "int4-weights")
TARGETS = ("onnx-cpu", "tflite", "wasm")
OPTIONS: dict[str, Any] = {
    "quant_format": QuantFormat.QDQ, "per_channel": True, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8,
}  # fmt: skip
WORK = tempfile.TemporaryDirectory()
BROKEN = (RuntimeError, ValueError, KeyError)


def measure() -> list[dict[str, Any]]:
    """One row per model, target, settings and seed."""
    return [*_inspector(), *_minilm(), *_classes(), *_by_hand()]


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read; the loss is that of the named metric against float, with its paired 95% interval."""
    head = [
        "model",
        "target",
        "settings",
        "seed",
        "latency",
        "(spread)",
        "bytes",
        "metric",
        "float",
        "lowered",
        "loss",
        "(95%)",
        "flips",
        "verdict",
    ]
    return table([head, *map(_line, rows)])


@cache
def inspector() -> tuple[Package, Any, Any]:
    """The example's model at full length, trained on one half of the modules: (package, train, test)."""
    cells, example = import_module("cells"), import_module("inspector")

    train, test = cells.split(cells.load())
    model = example.train(train.images, train.labels)
    few = cells.thin(train, 128)
    # Of scores, int8 may move one in a hundred by more than 0.05 where the decision stays: quality is what is gated here.
    package = ps.pack(model, name="inspector", featurize=example.featurize, predict=example.predict, examples={"image": few.images},
                      labels=few.labels, slices={"cell": few.types}, tolerances={"defect": {"p99": 0.3}},
                      out=Path(WORK.name) / "inspector")  # fmt: skip
    return package, train, test


def _inspector() -> list[dict[str, Any]]:
    package, train, test = inspector()
    held = ps.Data({"image": test.images}, labels=test.labels, slices={"cell": test.types})
    learn = ps.Data({"image": train.images}, labels=train.labels)
    limits = ps.Budget(max_flips=0.08)
    return [row for target in ("onnx-cpu", "tflite") for seed in SEEDS
            for row in _climbed("inspector", package, target, held, learn, limits, "int8-static", seed)]  # fmt: skip


def _minilm() -> list[dict[str, Any]]:
    texts = import_module("datasets").sentences()
    package = ps.open(EXAMPLES / "zoo" / "packages" / "minilm")
    held, learn = ps.Data({"text": texts[1000:1400]}), ps.Data({"text": texts[:200]})
    return [
        row for wanted in ("int8-static", "int8-dynamic") for row in _climbed("minilm", package, "onnx-cpu", held, learn, None, wanted, 0)
    ]


def _classes() -> list[dict[str, Any]]:
    """Every class on every target, as it is, without a ladder."""
    datasets = import_module("datasets")
    (x, y), (tx, ty), (wx, wy) = datasets.clothes("t10k"), datasets.clothes("train"), datasets.weather()
    cases = {
        "cnn": (ps.Data({"picture": x[:4000]}, labels=y[:4000]), ps.Data({"picture": tx[30000:30512]}, labels=ty[30000:30512])),
        "mlp": (ps.Data({"x": wx[8000:12000]}, labels=wy[8000:12000]), ps.Data({"x": wx[:512]}, labels=wy[:512])),
    }
    rows: list[dict[str, Any]] = []
    for name, (held, learn) in cases.items():
        package = ps.open(EXAMPLES / "zoo" / "packages" / name)
        for target in TARGETS:
            with closing(Workbench(package, target, held, learn)) as bench:
                for precision in CLASSES:
                    if precision in bench.plans.classes():
                        rows.append(_row(name, target, bench.attempt(Settings(precision)), 0))
    return rows


def _climbed(name: str, package: Package, target: str, held: ps.Data, learn: ps.Data, limits: ps.Budget | None, wanted: Any,
             seed: int) -> list[dict[str, Any]]:  # fmt: skip
    """The rungs of a ladder, the chosen one marked."""
    with closing(Workbench(package, target, held, learn, limits=limits, seed=seed)) as bench:
        climb: Climb = Ladder(bench).climb(Settings(wanted))
    rows = [_row(name, target, rung.trial, seed) for rung in climb.rungs]
    for row, rung in zip(rows, climb.rungs, strict=True):
        row["settings"] = f"{'> ' if rung is climb.chosen else ''}{row['settings']}"
    return rows


def _row(name: str, target: str, trial: Trial, seed: int) -> dict[str, Any]:
    changes = trial.comparison.get("changes", {})
    metric = "auc" if "auc" in changes else next(iter(changes), None)
    flips = trial.comparison.get("flips", [])
    return {
        "model": name, "target": target, "settings": str(trial.settings), "seed": seed, "verdict": trial.verdict,
        "reasons": list(trial.reasons),
        "figures": dict(trial.figures), "metric": metric, "change": changes.get(metric) if metric else None,
        "flips": flips[0]["count"] / trial.comparison["rows"] if flips else None, "drifts": trial.comparison.get("drifts", []),
    }  # fmt: skip


class Rows(CalibrationDataReader):
    """The calibration rows for ONNX Runtime's quantizer, eight at a time."""

    def __init__(self, name: str, rows: Any) -> None:
        self._batches = iter([{name: rows[start : start + 8]} for start in range(0, len(rows), 8)])

    def get_next(self) -> Any:
        """The next batch, or None."""
        return next(self._batches, None)


def _by_hand() -> list[dict[str, Any]]:
    """ONNX Runtime's `quantize_static` on the float artifact's own file, with the options that its documentation names."""
    package, train, test = inspector()
    folder = Path(WORK.name) / "by-hand"
    floats = runtime("onnx-cpu").compile(package, CompileOptions(verify=False), folder / "float").path / "engine" / "00-main.onnx"
    learn = train.images[np.random.default_rng(0).permutation(len(train.images))[:512]]
    methods = {"MinMax": CalibrationMethod.MinMax, "Percentile": CalibrationMethod.Percentile, "Entropy": CalibrationMethod.Entropy}
    rows: list[dict[str, Any]] = []
    for method, kind in methods.items():
        for kept in ((), ("Gemm_121",)):
            said = f"onnxruntime {method}, {len(kept)} excluded by hand"
            made = folder / f"{method}{len(kept)}.onnx"
            few = learn if method == "MinMax" else learn[:64]  # its histograms keep every activation in memory
            try:
                quantize_static(floats, made, Rows("image", few), calibrate_method=kind, nodes_to_exclude=list(kept), **OPTIONS)
                rows.append(_file_row(said, floats, made, test))
            except (*BROKEN, MemoryError) as error:
                print(f"{said}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    return rows


def _file_row(said: str, floats: Path, made: Path, test: Any) -> dict[str, Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    one, other = (ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]) for path in (floats, made))
    row = test.images[:1]
    both = interleave({"float": lambda: one.run(None, {"image": row}), "int8": lambda: other.run(None, {"image": row})}, 5, 0.3)
    middle, low, high = ratio(both["int8"], both["float"])
    before, after = (_answers(session, test.images) for session in (one, other))
    labels = test.labels
    drop = stats.bootstrap(lambda at: _auc(labels[at], before[1][at]) - _auc(labels[at], after[1][at]), len(labels), draws=400)
    ends = [{"value": _auc(labels, scores)} for scores in (before[1], after[1])]
    figures = {"ratio": middle, "ratio_low": low, "ratio_high": high, "size_ratio": made.stat().st_size / floats.stat().st_size}
    return {
        "model": "inspector", "target": "onnx-cpu", "settings": said, "seed": 0, "verdict": "-", "reasons": [], "metric": "auc",
        "figures": figures, "change": {"before": ends[0], "after": ends[1], "drop": drop.to_dict()},
        "flips": float((before[0] != after[0]).mean()), "drifts": [],
    }  # fmt: skip


def _answers(session: Any, images: Any) -> tuple[Any, Any]:
    parts = [session.run(["label", "defect"], {"image": images[start : start + 8]}) for start in range(0, len(images), 8)]
    return tuple(np.concatenate([part[place] for part in parts]) for place in (0, 1))  # type: ignore[return-value]


def _auc(labels: Any, scores: Any) -> float:
    return stats.auc(labels, scores).value


def _line(row: dict[str, Any]) -> list[str]:
    figures, change = row["figures"], row["change"]
    latency = ["", "", ""]
    if figures:
        latency = [f"{figures['ratio']:.2f}x", f"({figures['ratio_low']:.2f}-{figures['ratio_high']:.2f})", f"{figures['size_ratio']:.3f}x"]
    if change is not None:
        quality = [row["metric"], f"{change['before']['value']:.4f}", f"{change['after']['value']:.4f}", f"{change['drop']['value']:+.4f}",
                   f"({change['drop']['low']:+.4f} to {change['drop']['high']:+.4f})"]  # fmt: skip
    else:
        quality = ["", "", "", "; ".join(row["reasons"])[:60], ""]
    flips = "" if row["flips"] is None else f"{row['flips']:.2%}"
    return [row["model"], row["target"], row["settings"], str(row["seed"]), *latency, *quality, flips, row["verdict"]]


if __name__ == "__main__":
    found = measure()
    print(show(found))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(found, indent=2))
