"""Distillation: what a teacher adds to a small network and to a pruned one, against labels alone, on Fashion-MNIST; and what it hides.

70,000 pictures are divided into five parts, one a seed, no picture in two of them: 5,000 train the teacher and its students, 3,000 more
have their labels taken away, 6,000 judge. So seeds are independent, and Student's t over them holds pictures, networks and shuffling.
Both sides of a pair have the same network at the start and the same steps, and but for "few" the same rows in the same order. The
temperature is 4, except where "at 1" says so. Answers are those of the onnx-cpu artifact. "rounds" prunes in three rounds of a
third of the epochs each.

"rare" is the pruned network tuned on rows with ten bags, and judged where bags are few as well: by the gates that its compile asks.

    python benchmarks/bench_distil.py [--seeds 0 ...] [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from bench_precision import kept
from distil_ways import CLASSES, RARE, RARE_JUDGED, Makers, division
from intervals import Row, figure, over_seeds

import portside as ps
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.loading import load
from portside.runtimes.timing import table
from portside.sdk.core.package import Package
from portside.sdk.core.signature import Array
from portside.sdk.core.statistics import paired_difference

SEEDS = (0, 1, 2, 3, 4)
GATES = ps.Budget(max_drop=0.05, max_slice_drop=0.1)
PAIRS = {
    "student, distilled": "student, labels", "student, distilled at 1": "student, labels", "pruned, distilled": "pruned, labels",
    "pruned, distilled at 1": "pruned, labels", "few, distilled": "few, labels", "pruned, rounds": "pruned, labels",
}  # fmt: skip
"""A way -> what it is held against."""


def measure(short: bool = False, file: Path | None = None, seeds: Sequence[int] = SEEDS) -> list[dict[str, Any]]:
    """One row per seed and way, and per seed and pair; `short`: the first seed alone; `file`: see `kept`."""
    return kept((row for seed in seeds[: 1 if short else None] for row in _rows(seed)), file)


def _rows(seed: int) -> Iterator[dict[str, Any]]:
    rows = division(seed)
    with tempfile.TemporaryDirectory() as work:
        makers = Makers(rows, seed, Path(work))
        right: dict[str, Array] = {}
        for way, make in makers.ways().items():
            started = time.monotonic()
            made = make()
            right[way] = _right(made, rows.held, Path(work) / f"artifact-{way}")
            yield {"what": "way", "way": way, "seed": seed, "accuracy": float(right[way].mean()), "seconds": time.monotonic() - started,
                   "bytes": _bytes(Path(work) / f"artifact-{way}"), **_lost(right["teacher"], right[way], rows.held)}  # fmt: skip
        for way, against in PAIRS.items():
            yield {"what": "pair", "way": way, "against": against, "seed": seed, **_lost(right[against], right[way], rows.held)}
        for way, make in makers.rare().items():
            yield {"what": "gates", "way": way, "seed": seed, **_stopped(make(), makers.teacher(), makers.seldom(rows.held, RARE_JUDGED),
                                                                         Path(work) / f"gated-{way}")}  # fmt: skip


def _right(package: Package, held: ps.Data, out: Path) -> Array:
    """Per row: is the answer right."""
    artifact = runtime("onnx-cpu").compile(package, CompileOptions(verify=False), out)
    with closing(load(artifact)) as session:
        return np.asarray(session.predict(held.inputs)["label"]) == np.asarray(held.labels)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "engine").rglob("*") if file.is_file())


def _lost(before: Array, after: Array, held: ps.Data) -> dict[str, Any]:
    """Share of rows that are right no more, less those that now are; the same per class, and the class that loses most."""
    classes = np.asarray(held.slices["garment"])
    lost = {name: float(before[classes == name].mean() - after[classes == name].mean()) for name in CLASSES}
    worst = max(CLASSES, key=lambda name: lost[name])
    return {"lost": paired_difference(before, after).to_dict(), "classes": lost, "worst": worst,
            "worst_lost": paired_difference(before[classes == worst], after[classes == worst]).to_dict()}  # fmt: skip


def _stopped(package: Package, teacher: Package, held: ps.Data, out: Path) -> dict[str, Any]:
    """What the gates of a compile say, and what was lost on all rows and in the rare class."""
    try:
        ps.compile(package, out=out, gates=GATES, ancestor=teacher, data=held)
        stopped = False
    except ps.errors.ContractError:
        stopped = True
    found = ps.audit(package, teacher, held, gates=GATES)
    slices = {name.removeprefix("garment="): changes["accuracy"].drop.to_dict() for name, changes in found.slices.items() if changes}
    return {"rows": len(held), "stopped": stopped, "gates": [gate.to_dict() for gate in found.gates],
            "lost": found.changes["accuracy"].drop.to_dict(), "slices": slices}  # fmt: skip


def show(rows: list[dict[str, Any]]) -> str:
    """Accuracy, and what is gained and lost in points over seeds."""
    ways = [["way", "KB", "accuracy", "lost to the teacher", "worst class", "lost"]]
    for way in dict.fromkeys(row["way"] for row in rows if row["what"] == "way"):
        held = [row for row in rows if (row["what"], row["way"]) == ("way", way)]
        accuracy = f"{np.mean([row['accuracy'] for row in held]):.2%}"
        ways.append([way, f"{held[0]['bytes'] / 1000:.0f}", accuracy, _points(row["lost"]["value"] for row in held), *_worst(held)])
    pairs = [["way", "less", "gained", "worst class", "lost"]]
    for way, against in PAIRS.items():
        held = [row for row in rows if (row["what"], row["way"]) == ("pair", way)]
        pairs.append([way, against, _points(-row["lost"]["value"] for row in held), *_worst(held)])
    gates = [["way", "seed", "lost, all", "bound", "lost, rare class", "bound", "slice over", *GATES.limits, "compile"]]
    for row in (row for row in rows if row["what"] == "gates"):
        rare, slices = row["slices"][RARE], row["slices"]
        over = sum(held["low"] > GATES.limits["max_slice_drop"] for held in slices.values())
        gates.append([row["way"], str(row["seed"]), f"{row['lost']['value']:.2%}", f"{row['lost']['high']:.2%}", f"{rare['value']:.1%}",
                      f"{rare['high']:.1%}", str(over), *(gate["verdict"] for gate in row["gates"]),
                      "stopped" if row["stopped"] else "written"])  # fmt: skip
    return f"{table(ways)}\n\n{table(pairs)}\n\n{table(gates)}"


def plot(rows: Sequence[dict[str, Any]]) -> str:
    """What each way gains on the one that it is held against, over seeds."""
    held = {way: [-100 * row["lost"]["value"] for row in rows if (row["what"], row["way"]) == ("pair", way)] for way in PAIRS}
    return figure("points of accuracy gained, 95% over seeds",
                  [Row(f"{way}, less {PAIRS[way]}", *over_seeds(values)) for way, values in held.items() if values])  # fmt: skip


def _worst(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The class that loses most in the mean over seeds, and how much."""
    means = {name: np.mean([row["classes"][name] for row in rows]) for name in CLASSES}
    name = max(CLASSES, key=lambda held: means[held])
    return [name, _points(row["classes"][name] for row in rows)]


def _points(values: Any) -> str:
    middle, low, high = over_seeds([100 * value for value in values])
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"


def main() -> None:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed")
    parser.add_argument("--seeds", type=int, nargs="+", choices=SEEDS, default=SEEDS, help="of the five; default: all")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.json, asked.seeds)))


if __name__ == "__main__":
    sys.exit(main())
