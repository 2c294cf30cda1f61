"""Fronts of the inspector on one CPU thread: `ps.search`, onnxruntime.quantization by hand, and Olive, given the same minutes.

All three start from one float ONNX file and calibrate on the same rows; every file that a side makes is then measured here, alike: latency
interleaved with the float file, bytes, and the AUC lost on rows that no side has seen, with a paired 95% interval. The hypervolume is the
share of the box below (1x latency, 5 points of AUC) that a side's front covers, 0 to 1; the second one has bytes in place of latency.

    python benchmarks/bench_fronts.py [--short] [--minutes M] [--olive /tmp/olive-venv/bin/python] [--json FILE]

Olive runs in an environment of its own, see olive_runner.py; without one its row says where it stops.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import subjects
from bench_precision import OPTIONS, SEEDS, Rows, kept, opened
from marks import dot, steps, text
from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import portside as ps
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core import statistics as stats

HERE = Path(__file__).resolve().parent
OLIVE = Path(tempfile.gettempdir()) / "olive-venv" / "bin" / "python"
PLOT = HERE.parent / "docs" / "precision-fronts.svg"
MINUTES = 4.0
WORST = 0.05
"""AUC lost at which the box of the hypervolume ends."""
WIDEST = 1.5
"""Ratio of latencies at which the plot ends."""
CHOOSE = 300
"""Rows that `ps.search` judges its trials on, out of its minutes; the other sides judge nothing."""
FLIPS = 0.05
"""Share of decisions that `ps.search` may let flip, as in bench_precision."""
HISTOGRAM_ROWS = 64
"""ONNX Runtime's histograms keep every activation of every row in memory."""
Attempt = tuple[str, Callable[[Path], object]]


def measure(short: bool = False, minutes: float | None = None, olive: Path = OLIVE, file: Path | None = None) -> list[dict[str, Any]]:
    """One row per file; rows with "error" say where a side stops. `short`: one seed, few rows, two minutes."""
    given = minutes if minutes is not None else 2.0 if short else MINUTES
    return kept((row for seed in SEEDS[: 1 if short else None] for row in _of_seed(seed, short, given, olive)), file)


def _of_seed(seed: int, short: bool, minutes: float, olive: Path) -> Iterator[dict[str, Any]]:
    subject = _thin(subjects.inspector(seed), (64, 96, 160)) if short else subjects.inspector(seed)
    with tempfile.TemporaryDirectory(prefix="portside-fronts-") as work:
        for row in _sides(subject, Path(work), minutes, olive, seed):
            yield {**row, "seed": seed, "minutes": minutes}


def _sides(subject: subjects.Subject, folder: Path, minutes: float, olive: Path, seed: int) -> Iterator[dict[str, Any]]:
    """What every side makes of one float file; nothing is judged before all of it is made."""
    compiled = runtime("onnx-cpu").compile(subject.package, CompileOptions(verify=False), folder / "float")
    floats, rows = compiled.path / "engine" / "00-main.onnx", subject.learn.inputs["image"]
    made = [*_portside(subject, folder, minutes, seed), *_by_hand(floats, folder, rows, minutes),
            *_olive(olive, floats, folder, rows, minutes)]  # fmt: skip
    judge = Judge(floats, subject.held)
    for row in made:
        file = row.pop("file", None)
        yield row if file is None else {**row, **judge(Path(file))}


def _thin(subject: subjects.Subject, sizes: tuple[int, int, int]) -> subjects.Subject:
    parts = (subject.learn, subject.choose, subject.held)
    return subjects.Subject(subject.package, *(part.take(np.arange(size)) for part, size in zip(parts, sizes, strict=True)))


class Judge:
    """Measures files against the float one on rows that no side has seen."""

    def __init__(self, floats: Path, test: ps.Data) -> None:
        self._floats, self._images, self._labels = floats, test.inputs["image"], np.asarray(test.labels)
        self._session = opened(floats)
        self._before = _scores(self._session, self._images)

    def __call__(self, file: Path) -> dict[str, Any]:
        """Figures of one file."""
        other, row = opened(file), {"image": self._images[:1]}
        both = interleave({"float": lambda: self._session.run(None, row), "this": lambda: other.run(None, row)}, 5, 0.2)
        middle, low, high = ratio(both["this"], both["float"])
        after, labels, before = _scores(other, self._images), self._labels, self._before
        drop = stats.bootstrap(lambda at: _auc(labels[at], before[at]) - _auc(labels[at], after[at]), len(labels), draws=400)
        flips = float(((before > 0.5) != (after > 0.5)).mean())
        return {"ratio": middle, "ratio_low": low, "ratio_high": high, "size_ratio": file.stat().st_size / self._floats.stat().st_size,
                "loss": drop.value, "loss_low": drop.low, "loss_high": drop.high, "flips": flips}  # fmt: skip


def _portside(subject: subjects.Subject, folder: Path, minutes: float, seed: int) -> Iterator[dict[str, Any]]:
    few = subject.choose.take(np.arange(min(CHOOSE, len(subject.choose))))
    front = ps.search(subject.package, budget=ps.Budget(max_flips=FLIPS), data=few, calibration=subject.learn, minutes=minutes, seed=seed)
    for place, trial in enumerate(held for held in front.trials if held.figures and held.settings.precision != "float32"):
        made = front.package_of(trial, folder / f"package{place}")
        artifact = runtime("onnx-cpu").compile(made, CompileOptions(verify=False), folder / f"artifact{place}")
        file = artifact.path / "engine" / "00-main.onnx"
        yield {"side": "portside", "settings": str(trial.settings), "file": str(file), "seconds": trial.seconds}


def _by_hand(floats: Path, folder: Path, rows: Any, minutes: float) -> Iterator[dict[str, Any]]:
    """What its documentation names, the likeliest first, as far as the minutes go."""
    ready, deadline = folder / "prepared.onnx", time.monotonic() + 60 * minutes
    try:
        quant_pre_process(str(floats), str(ready), skip_symbolic_shape=True)
    except Exception as error:  # where a tool stops is what this file is there to find out
        yield {"side": "by hand", "settings": "quant_pre_process", "error": f"{type(error).__name__}: {error}"[:300]}
        ready = floats
    for place, (name, make) in enumerate(_options(ready, rows)):
        began, made = time.monotonic(), folder / f"hand{place}.onnx"
        if began >= deadline:
            return
        try:
            make(made)
            yield {"side": "by hand", "settings": name, "file": str(made), "seconds": time.monotonic() - began}
        except Exception as error:  # as above
            yield {"side": "by hand", "settings": name, "error": f"{type(error).__name__}: {error}"[:300]}


def _options(ready: Path, rows: Any) -> list[Attempt]:
    def static(method: str, channel: bool, kinds: Sequence[str] | None, without: Sequence[str] = ()) -> Attempt:
        few = rows if method == "MinMax" else rows[:HISTOGRAM_ROWS]
        options = {**OPTIONS, "per_channel": channel, "calibrate_method": getattr(CalibrationMethod, method)}
        about = ["" if channel else "per tensor", f"{kinds[0]} only" if kinds else "", "without the head" if without else ""]
        options["nodes_to_exclude"] = [*without]
        return ", ".join(filter(None, [f"static {method}", *about])), lambda made: quantize_static(
            ready, made, Rows({"image": few}), op_types_to_quantize=kinds, **options
        )

    def dynamic(channel: bool) -> Attempt:
        kinds = ["MatMul", "Gemm"]
        return f"dynamic{'' if channel else ', per tensor'}", lambda made: quantize_dynamic(
            ready, made, op_types_to_quantize=kinds, per_channel=channel, weight_type=QuantType.QInt8
        )

    head = [node.name for node in onnx.load(ready).graph.node if node.op_type in {"Gemm", "MatMul"}][-1:]
    every = [static("MinMax", True, None), static("MinMax", True, None, head),
             *(static(method, True, None, head) for method in ("Percentile", "Entropy"))]  # fmt: skip
    return [*every, static("MinMax", True, ["Conv"]), dynamic(True), static("MinMax", False, None), static("Entropy", True, ["Conv"]),
            static("Percentile", True, ["Conv"]), dynamic(False)]  # fmt: skip


def _olive(python: Path, floats: Path, folder: Path, rows: Any, minutes: float) -> Iterator[dict[str, Any]]:
    out, job = folder / "olive", folder / "job.json"
    if not python.is_file():
        yield {"side": "olive", "settings": "-", "error": f"no environment at {python}: see benchmarks/olive_runner.py"}
        return
    out.mkdir()
    np.savez(folder / "rows.npz", image=rows)
    job.write_text(json.dumps({"model": str(floats), "rows": str(folder / "rows.npz"), "out": str(out), "minutes": minutes}))
    try:
        done = subprocess.run([python, HERE / "olive_runner.py", job], capture_output=True, text=True, timeout=60 * minutes + 300)
        said = done.stderr[-300:]
    except subprocess.TimeoutExpired:
        said = f"it did not end within {minutes + 5:g} minutes"
    if not (out / "olive.json").is_file():
        yield {"side": "olive", "settings": "-", "error": said}
        return
    for row in json.loads((out / "olive.json").read_text()):
        yield {"side": "olive", **row}


def front(rows: Sequence[dict[str, Any]], across: str = "ratio") -> list[dict[str, Any]]:
    """Rows that no other beats in both, in the order of the first."""
    found: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda held: (held[across], held["loss"])):
        if not found or row["loss"] < found[-1]["loss"]:
            found.append(row)
    return found


def hypervolume(rows: Sequence[dict[str, Any]], across: str = "ratio") -> float:
    """Share of the box from nothing to (1x, `WORST`) that is worse than some row; a gain of AUC counts as no loss."""
    area, floor = 0.0, WORST
    for row in front([held for held in rows if held[across] < 1 and held["loss"] < WORST], across):
        loss = max(row["loss"], 0.0)
        area, floor = area + (1 - row[across]) * max(floor - loss, 0.0), min(floor, loss)
    return area / WORST


def show(rows: list[dict[str, Any]]) -> str:
    """Files and hypervolumes, and the plot."""
    files = [row for row in rows if "ratio" in row]
    lines = [["side", "seed", "settings", "latency", "(spread)", "bytes", "AUC lost", "(95%)", "flips", "made in s"], *map(_line, files)]
    sums = [["side", "hypervolume by latency, per seed", "by bytes, per seed"]]
    for side in dict.fromkeys(row["side"] for row in rows):
        own = [[row for row in files if row["side"] == side and row["seed"] == seed] for seed in sorted({row["seed"] for row in rows})]
        sums.append([side, *("  ".join(f"{hypervolume(held, across):.3f}" for held in own) for across in ("ratio", "size_ratio"))])
    stops = [f"{row['side']}, {row['settings']}: stops at {row['error']}" for row in rows if "error" in row]
    return "\n\n".join([table(lines), table(sums), *stops])


def _line(row: dict[str, Any]) -> list[str]:
    latency = [f"{row['ratio']:.2f}x", f"({row['ratio_low']:.2f}-{row['ratio_high']:.2f})", f"{row['size_ratio']:.3f}x"]
    loss = [f"{row['loss']:+.4f}", f"({row['loss_low']:+.4f} to {row['loss_high']:+.4f})", f"{row['flips']:.1%}"]
    return [row["side"], str(row["seed"]), row["settings"], *latency, *loss, f"{row['seconds']:.0f}"]


COLOURS = {"portside": "#0072b2", "by hand": "#e69f00", "olive": "#009e73"}


def plot(rows: Sequence[dict[str, Any]], width: int = 760, height: int = 420) -> str:
    """All files as an SVG that reads on light and dark: latency across, AUC lost upwards, bytes as area; fronts as steps."""
    files = [row for row in rows if "ratio" in row]
    least = min([0.0, *(row["loss"] for row in files)])

    def x(value: float) -> float:
        return 60 + min(value, WIDEST) / WIDEST * (width - 90)

    def y(value: float) -> float:
        return height - 50 - (min(value, WORST) - least) / (WORST - least) * (height - 80)

    words = [text(width / 2, height - 12, "latency of one row, float = 1"), text(60, 16, f"AUC lost, at most {WORST:g} shown", "start")]
    words += [text(x(at), height - 32, f"{at:g}") for at in np.arange(0, WIDEST + 0.1, 0.25)]
    words += [text(54, y(at) + 4, f"{at:g}", "end") for at in np.arange(0, WORST + 0.001, 0.01)]
    marks = [f"<path d='M{x(1):.0f} 24V{height - 50}M60 {y(0):.0f}H{width - 20}' stroke='#888' stroke-dasharray='3 3' fill='none'/>"]
    for place, side in enumerate(dict.fromkeys(row["side"] for row in files)):
        own, colour = [row for row in files if row["side"] == side], COLOURS.get(side, "#888")
        marks += [_file(row, x(row["ratio"]), y(row["loss"]), colour) for row in own]
        corners = [(x(row["ratio"]), y(row["loss"])) for row in front([held for held in own if held["loss"] < WORST])]
        marks.append(steps(corners, colour, 24, width - 20))
        words.append(text(width - 24, 40 + 18 * place, side, "end", colour))
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img' aria-label='latency against AUC lost'>"
    return f"{head}<style>text{{font:13px sans-serif}}</style>{''.join(marks + words)}</svg>\n"


def _file(row: dict[str, Any], x: float, y: float, colour: str) -> str:
    title = f"{row['side']}: {row['settings']}, {row['ratio']:.2f}x, {row['size_ratio']:.2f}x bytes, {row['loss']:+.4f}"
    return dot(x, y, 3 + 9 * row["size_ratio"] ** 0.5, colour, title)


def _scores(session: Any, images: Any) -> Any:
    return np.concatenate([session.run(["defect"], {"image": images[start : start + 8]})[0] for start in range(0, len(images), 8)])


def _auc(labels: Any, scores: Any) -> float:
    return stats.auc(labels, scores).value


def main() -> None:
    """By itself, with a choice of how long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed, few rows, two minutes each")
    parser.add_argument("--minutes", type=float, help=f"of each side and seed; default: {MINUTES:g}, short 2")
    parser.add_argument("--olive", type=Path, default=OLIVE, help="Python of Olive's environment")
    parser.add_argument("--plot", type=Path, help=f"where the plot goes; {PLOT} is the one of the docs")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    rows = measure(asked.short, asked.minutes, asked.olive, asked.json)
    print(show(rows))
    if asked.plot:
        asked.plot.write_text(plot(rows))


if __name__ == "__main__":
    sys.exit(main())
