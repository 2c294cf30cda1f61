"""Precision: what int8 costs and saves on real models, as `compress` chooses it, judged on rows that played no part in the choice.

Aims: visual inspection on onnx-cpu <= 0.60x latency, <= 0.28x bytes, AUC drop <= 0.5 points, on tflite the same drop; MiniLM <= 0.5x
latency at a cosine of at least .99. Three seeds divide the data (and train the inspector's head) anew. Latency is interleaved with the
float artifact's on one thread; answers are compared row by row with the float package's. "naive" is the class on every node, min-max.

    python benchmarks/bench_precision.py [inspector] [inspector-tflite] [minilm] [by-hand] [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import subjects
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import portside as ps
from portside.compress.ladder import Climb, Ladder
from portside.compress.settings import Settings
from portside.compress.trials import Trial, Workbench
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.plan import Precision

SEEDS = (0, 1, 2)
OPTIONS: dict[str, Any] = {
    "quant_format": QuantFormat.QDQ, "per_channel": True, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8,
}  # fmt: skip
"""What ONNX Runtime's documentation advises for x86."""
TOLD = ("model", "target", "side", "seed", "settings", "verdict", "error")
EMBEDDED = ("cosine_min", "cosine_mean", "neighbour_overlap")


def measure(short: bool = False, parts: Sequence[str] = (), file: Path | None = None) -> list[dict[str, Any]]:
    """One row per rung and per judged artifact; `short`: the first seed alone; `file`: see `kept`."""
    seeds = SEEDS[: 1 if short else None]
    return kept((row for name in parts or PARTS for row in PARTS[name](seeds)), file)


def kept(rows: Iterable[dict[str, Any]], file: Path | None) -> list[dict[str, Any]]:
    """All rows, each told as it comes, and written to the file with those before it: what takes an hour may be stopped."""
    found: list[dict[str, Any]] = []
    for row in rows:
        found.append(row)
        about = (f"{key} {row[key]}" for key in TOLD if row.get(key) is not None)
        print(", ".join(about), file=sys.stderr, flush=True)
        if file is not None:
            file.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _inspector(seeds: Sequence[int], target: str = "onnx-cpu") -> Iterator[dict[str, Any]]:
    for seed in seeds:
        yield from _chosen("inspector", subjects.inspector(seed), target, "int8-static", seed, ps.Budget(max_flips=0.05))


def _minilm(seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        yield from _chosen("minilm", subjects.minilm(seed), "onnx-cpu", "int8-dynamic", seed, None)
    yield from _chosen("minilm", subjects.minilm(0), "onnx-cpu", "int8-static", 0, None)


def _chosen(name: str, subject: subjects.Subject, target: str, wanted: Precision, seed: int,
            limits: ps.Budget | None) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The rungs of a ladder on the rows to choose on; then the naive settings and the chosen ones on the rows to judge on."""
    about = {"model": name, "target": target, "wanted": wanted, "seed": seed}
    with closing(Workbench(subject.package, target, subject.choose, subject.learn, limits=limits, seed=seed)) as bench:
        climb: Climb = Ladder(bench).climb(Settings(wanted))
    for rung in climb.rungs:
        yield {**about, "rows": "choosing", "what": "rung", **row_of(rung.trial)}
    with closing(Workbench(subject.package, target, subject.held, subject.learn, limits=limits, seed=seed)) as bench:
        for what, settings in (("naive", Settings(wanted)), ("chosen", climb.chosen.trial.settings)):
            yield {**about, "rows": "unseen", "what": what, **row_of(bench.attempt(settings))}


def row_of(trial: Trial) -> dict[str, Any]:
    """A trial as plain data, without the rows that it flipped."""
    changes = trial.comparison.get("changes", {})
    metric = "auc" if "auc" in changes else next(iter(changes), None)
    flips = trial.comparison.get("flips", [])
    return {
        "settings": str(trial.settings), "kept": list(trial.settings.kept), "verdict": trial.verdict, "reasons": list(trial.reasons),
        "figures": dict(trial.figures), "metric": metric, "change": changes.get(metric) if metric else None,
        "flips": flips[0]["count"] / trial.comparison["rows"] if flips else None, "drifts": trial.comparison.get("drifts", []),
        "seconds": trial.seconds,
    }  # fmt: skip


class Rows(CalibrationDataReader):
    """Calibration rows for ONNX Runtime's quantizer, eight at a time."""

    def __init__(self, inputs: dict[str, Any], batch: int = 8) -> None:
        size = len(next(iter(inputs.values())))
        self._batches = iter([{name: held[start : start + batch] for name, held in inputs.items()} for start in range(0, size, batch)])

    def get_next(self) -> Any:
        """The next batch, or None."""
        return next(self._batches, None)


def _by_hand(seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """MiniLM's own float file through ONNX Runtime's quantizers, with the options that its documentation names."""
    with tempfile.TemporaryDirectory() as work:
        held = runtime("onnx-cpu").compile(subjects.minilm().package, CompileOptions(verify=False), Path(work) / "float")
        floats = held.path / "engine" / "00-main.onnx"
        for seed in seeds:
            subject = subjects.minilm(seed)
            learn, judged = (_tokens(subject, part) for part in (subject.learn, subject.held))
            for name, make in _quantizers(floats, learn).items():
                made, started = Path(work) / f"{name}{seed}.onnx", time.monotonic()
                make(made)
                about = {"model": "minilm", "target": "onnx-cpu", "wanted": "by hand", "seed": seed, "rows": "unseen", "what": "by hand"}
                yield {**about, "settings": f"onnxruntime {name}", "verdict": "-", "reasons": [], "seconds": time.monotonic() - started,
                       **_file_figures(floats, made, judged)}  # fmt: skip


def _quantizers(floats: Path, learn: list[dict[str, Any]]) -> dict[str, Callable[[Path], object]]:
    products = {"op_types_to_quantize": ["MatMul", "Gemm"], "weight_type": QuantType.QInt8}

    class OneByOne(CalibrationDataReader):
        def __init__(self) -> None:
            self._rows = iter(learn)

        def get_next(self) -> Any:
            return next(self._rows, None)

    return {
        "quantize_dynamic, per channel": lambda made: quantize_dynamic(floats, made, per_channel=True, **products),
        "quantize_dynamic, per tensor": lambda made: quantize_dynamic(floats, made, per_channel=False, **products),
        "quantize_static, min-max": lambda made: quantize_static(floats, made, OneByOne(), **OPTIONS | products),
    }  # fmt: skip


def _tokens(subject: subjects.Subject, part: ps.Data) -> list[dict[str, Any]]:
    """One row of model inputs per text: what the package's codec makes of it."""
    codec = Codec.from_steps(subject.package.content.codec, subject.package.read)
    return [codec.encode({"text": [text]}) for text in part.inputs["text"]]


def _file_figures(floats: Path, made: Path, judged: list[dict[str, Any]]) -> dict[str, Any]:
    one, other = opened(floats), opened(made)
    row = judged[0]
    both = interleave({"float": lambda: one.run(None, row), "int8": lambda: other.run(None, row)}, 5, 0.3)
    middle, low, high = ratio(both["int8"], both["float"])
    before, after = (np.concatenate([session.run(["embedding"], held)[0] for held in judged]) for session in (one, other))
    cosines = (before * after).sum(1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    figures = {"ratio": middle, "ratio_low": low, "ratio_high": high, "size_ratio": made.stat().st_size / floats.stat().st_size}
    drift = {"cosine_min": float(cosines.min()), "cosine_mean": float(cosines.mean())}
    return {"figures": figures, "metric": None, "change": None, "flips": None, "drifts": [{"figures": drift}]}


def opened(file: Path) -> Any:
    """A bare session on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


PARTS: dict[str, Callable[[Sequence[int]], Iterator[dict[str, Any]]]] = {
    "inspector": _inspector, "inspector-tflite": partial(_inspector, target="tflite"), "minilm": _minilm, "by-hand": _by_hand,
}  # fmt: skip


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read; the loss is that of the named metric against float, with its paired 95% interval."""
    head = ["model", "target", "seed", "", "settings", "latency", "(spread)", "bytes", "loss", "(95%)", "flips", "verdict"]
    return "\n\n".join(f"on {which} rows\n{table([head, *map(_line, (row for row in rows if row['rows'] == which))])}"
                       for which in ("choosing", "unseen"))  # fmt: skip


def _line(row: dict[str, Any]) -> list[str]:
    figures, change = row["figures"], row["change"]
    latency = ["", "", ""]
    if figures:
        latency = [f"{figures['ratio']:.2f}x", f"({figures['ratio_low']:.2f}-{figures['ratio_high']:.2f})", f"{figures['size_ratio']:.3f}x"]
    quality = ["; ".join(row["reasons"])[:60], ""]
    if change is not None:
        drop = change["drop"]
        quality = [f"{row['metric']} {change['before']['value']:.4f} {drop['value']:+.4f}", f"({drop['low']:+.4f} to {drop['high']:+.4f})"]
    elif row["drifts"]:
        measured = {key: held for key in EMBEDDED if (held := row["drifts"][0]["figures"].get(key)) is not None}
        quality = [", ".join(f"{key} {held:.4f}" for key, held in measured.items()), ""]
    flips = "" if row["flips"] is None else f"{row['flips']:.2%}"
    return [row["model"], row["target"], str(row["seed"]), row["what"], row["settings"], *latency, *quality, flips, row["verdict"]]


def main() -> None:
    """By itself, with a choice of parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--short", action="store_true", help="one seed")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.parts, asked.json)))


if __name__ == "__main__":
    sys.exit(main())
