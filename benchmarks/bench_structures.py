"""The search over structures and precision on Fashion-MNIST, against each single pass taken to the same bytes.

A network trained for six epochs on 30,000 pictures and their mirror images; `ps.search` on onnx-cpu over `STRUCTURES` and precision, whose
passes learn from the same for five, judged on 10,000 others; everything is judged at last on the 10,000 test pictures, which nobody has
seen. Asked of the search: a tenth of the bytes and three tenths of the latency. The single passes have the same rows and epochs as every
structure of the search that is trained in full, and are taken to the bytes of its answer; they learn from labels, as they do by themselves,
and structures from the network as it was. The worst garment is the one that lost most on the rows that judge it, and so looks worse than
it is. CPU seconds are those of the search's own process.

    python benchmarks/bench_structures.py [--short] [--minutes 20] [--seeds 0 1] [--work FOLDER] [--plot FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from bench_precision import kept
from garments import Judge, Setting, parts, teacher_of
from marks import dot, text
from scipy import stats
from single_passes import singles

import portside as ps
from portside.compress.front import Front
from portside.compress.trials import Trial
from portside.runtimes.timing import table

SEEDS = (0, 1, 2, 3, 4)
MINUTES = 20.0
SMALLER, FASTER, POINTS = 10, 3, 0.5
"""Times that are aimed at, and points of accuracy that may be lost."""
MAX_DROP = 0.009
"""Gate of the search: the upper end of a paired interval, which on 10,000 rows is about 0.4 points above the drop."""
MARGIN = 1.1
"""More speed is asked of the search than is aimed at: what it measures once is measured again here."""
FOUND = "search: best"
POINTS_SHOWN = 5
"""Other trials of the front that are judged on the test pictures."""


SHORT = Setting(2.0, ps.Schedule(epochs=2, batch=128, lr=6e-3), 2, 3000, 2000, 2000)
TEACH = ps.Distil(temperature=2)
"""The network is sure of every row that it learned from: at temperature 1 it says little beyond the labels."""
STRUCTURES = [
    *([ps.Prune(ratio, steps=1, epochs=0), TEACH] for ratio in (0.18, 0.26, 0.14)),
    *([ps.Prune(ratio, steps=1, epochs=0), ps.LowRank(ratio=0.5, epochs=0), TEACH] for ratio in (0.3, 0.24)),
    [ps.LowRank(ratio=0.25, epochs=0), TEACH],
]
"""Around what the budget asks: "auto" has wider steps."""


def measure(short: bool = False, minutes: float | None = None, seeds: Sequence[int] = SEEDS, work: Path | None = None,
            file: Path | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """One row per seed and way; `short`: one seed, few rows, two minutes. `work` keeps what was trained, and goes on from it."""
    setting = SHORT if short else Setting(MINUTES if minutes is None else minutes)
    with tempfile.TemporaryDirectory(prefix="portside-structures-") as made:
        folder = work or Path(made)
        return kept((row for seed in seeds[: 1 if short else None] for row in _of_seed(seed, setting, folder / str(seed))), file)


def _of_seed(seed: int, setting: Setting, folder: Path) -> Iterator[dict[str, Any]]:
    learn, choose, test = parts(seed, setting)
    teacher = teacher_of(learn, seed, setting, folder / "teacher")
    judge = Judge(teacher, test)
    about = {"seed": seed, "minutes": setting.minutes}
    yield {**about, "way": "float", "what": "as it was", "epochs": 0.0, **judge(teacher)}
    budget = ps.Budget(size_mb=judge.size_mb / SMALLER, p95_ms=judge.p95_ms() / FASTER / MARGIN, max_drop=MAX_DROP)
    began = time.process_time()
    front = ps.search(teacher, "onnx-cpu", budget, choose, setting.minutes, train=learn, structures=STRUCTURES, seed=seed,
                      resume=folder / "search", progress=_told)  # fmt: skip
    found = {"seconds": front.seconds, "cpu_seconds": time.process_time() - began, "ended": front.ended, "remarks": front.remarks,
             "verdict": front.verdict, "trials": len(front.trials)}  # fmt: skip
    aim = _best(front).figures["size_mb"]
    for way, trial in _shown(front):
        yield {**about, "way": way, "what": str(trial.settings), "epochs": _epochs(trial), **judge(front.package_of(trial)), **found}
    for way, package, made in singles(teacher, learn, aim, setting.schedule.epochs, seed, folder / "singles"):
        yield {**about, "way": way, "epochs": setting.schedule.epochs if way != "int8 alone" else 0.0, **made, **judge(package)}


def _best(front: Front) -> Trial:
    chosen = front.best_trial or front.nearest
    if chosen is None:
        raise SystemExit(f"the search found nothing: {front.verdict}")
    return chosen


def _shown(front: Front) -> Iterator[tuple[str, Trial]]:
    """The best of the search, and the smallest others of its front."""
    chosen = _best(front)
    yield FOUND, chosen
    others = sorted((trial for trial in front.points if trial is not chosen), key=lambda trial: trial.figures["size_mb"])
    yield from (("search: front", trial) for trial in others[:POINTS_SHOWN])


def _epochs(trial: Trial) -> float:
    structure = trial.settings.structure
    return structure.share * sum(float(step.get("epochs") or 0) for step in structure.steps)


def _told(done: int, of: int, what: str) -> None:
    if what.startswith("trial "):
        print(what, file=sys.stderr, flush=True)


def show(rows: list[dict[str, Any]]) -> str:
    """Every file, then ways over the seeds with 95% intervals of the means."""
    files = [row for row in rows if "size_mb" in row]
    head = ["seed", "way", "", "epochs", "MB", "smaller", "latency", "(spread)", "accuracy", "points lost", "(95%)",
            "worst garment"]  # fmt: skip
    ways = [["way", "seeds", "smaller", "faster", "points lost, mean", "(95% of the mean)"]]
    for way in dict.fromkeys(row["way"] for row in files if row["way"] != "search: front"):
        own = [row for row in files if row["way"] == way]
        ways.append([way, str(len(own)), *(f"{mean(row[key] for row in own):.2f}x" for key in ("smaller", "faster")),
                     f"{mean(row['drop'] for row in own):+.2f}", _interval([row["drop"] for row in own])])  # fmt: skip
    verdicts = [f"seed {row['seed']}: {_verdict(row)}" for row in files if row["way"] == FOUND]
    return "\n\n".join([table([head, *map(_line, files)]), table(ways), *verdicts])


def _verdict(row: dict[str, Any]) -> str:
    """What was asked, and whether it was reached."""
    asked = {f"{SMALLER}x smaller": row["smaller"] >= SMALLER, f"{FASTER}x faster": row["faster"] >= FASTER,
             f"within {POINTS} points": row["drop"] <= POINTS}  # fmt: skip
    said = ", ".join(f"{name}: {'yes' if held else 'no'}" for name, held in asked.items())
    return f"{row['trials']} trials in {row['seconds']:.0f} s ({row['cpu_seconds']:.0f} s of CPU); {said}"


def _interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "one seed"
    low, high = stats.t.interval(0.95, len(values) - 1, mean(values), stats.sem(values))
    return f"({low:+.2f} to {high:+.2f})"


def _line(row: dict[str, Any]) -> list[str]:
    latency = [f"{row['ratio']:.2f}x", f"({row['ratio_low']:.2f}-{row['ratio_high']:.2f})"]
    loss = [f"{row['accuracy']:.2f}%", f"{row['drop']:+.2f}", f"({row['drop_low']:+.2f} to {row['drop_high']:+.2f})"]
    size = [f"{row['size_mb']:.3f}", f"{row['smaller']:.1f}x"]
    worst = row.get("worst")  # rows of earlier runs have none
    loss.append(f"{worst['garment']}: {worst['drop']:+.1f} ({worst['low']:+.1f} to {worst['high']:+.1f})" if worst else "")
    return [str(row["seed"]), row["way"], row["what"], f"{row['epochs']:.3g}", *size, *latency, *loss]


COLOURS = {"search: front": "#0072b2", FOUND: "#0072b2", "prune alone": "#e69f00", "low-rank alone": "#cc79a7", "int8 alone": "#009e73",
           "float": "#888"}  # fmt: skip


def plot(rows: Sequence[dict[str, Any]], width: int = 760, height: int = 420) -> str:
    """Files as an SVG that reads on light and dark: times smaller across, on a logarithmic scale, points lost upwards."""
    files = [row for row in rows if "size_mb" in row]
    widest, worst = max(row["smaller"] for row in files) * 1.2, max(1.0, *(row["drop"] for row in files)) * 1.1
    least = min([0.0, *(row["drop"] for row in files)])

    def x(smaller: float) -> float:
        return 60 + np.log(max(smaller, 1.0)) / np.log(widest) * (width - 90)

    def y(value: float) -> float:
        return height - 50 - (value - least) / (worst - least) * (height - 80)

    words = [text(width / 2, height - 12, "times smaller than float"), text(60, 16, "points lost on the test pictures", "start")]
    words += [text(x(at), height - 32, f"{at:g}") for at in (1, 2, 5, 10, 20, 50, 100) if at <= widest]
    words += [text(54, y(at) + 4, f"{at:g}", "end") for at in np.arange(0, worst, 0.5 if worst < 5 else 2)]
    lines = f"M{x(SMALLER):.0f} 24V{height - 50}M60 {y(POINTS):.0f}H{width - 20}M60 {y(0):.0f}H{width - 20}"
    marks = [f"<path d='{lines}' stroke='#888' stroke-dasharray='3 3' fill='none'/>"]
    for place, way in enumerate(dict.fromkeys(row["way"] for row in files)):
        own, colour = [row for row in files if row["way"] == way], COLOURS.get(way, "#888")
        title = "{way}: {what}, {smaller:.1f}x smaller, {ratio:.2f}x latency, {drop:+.2f} points"
        marks += [dot(x(row["smaller"]), y(row["drop"]), 8 if way == FOUND else 4, colour, title.format(**row)) for row in own]
        words.append(text(70, 40 + 18 * place, way, "start", colour))
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img' aria-label='bytes against accuracy'>"
    return f"{head}<style>text{{font:13px sans-serif}}</style>{''.join(marks + words)}</svg>\n"


def main() -> None:
    """By itself, with a choice of how long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed, few rows, two minutes")
    parser.add_argument("--minutes", type=float, help=f"of the search; default: {MINUTES:g}")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: five")
    parser.add_argument("--work", type=Path, help="keeps what was trained, and goes on from it")
    parser.add_argument("--plot", type=Path, help="where the plot goes; docs/structures-front.svg is the one of the docs")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    rows = measure(asked.short, asked.minutes, asked.seeds, asked.work, asked.json)
    print(show(rows))
    if asked.plot:
        asked.plot.write_text(plot(rows))


if __name__ == "__main__":
    sys.exit(main())
