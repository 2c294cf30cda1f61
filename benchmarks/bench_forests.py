"""Forests: how much smaller tree ensembles get and what it costs, on rows that neither the model nor the pass has seen.

Aim: a forest and a boosting model >= 5x smaller within 0.3 points. Five seeds divide the unseen rows: some to shrink on (their labels
are not used), the others to judge on. Answers are those of the onnx-cpu artifact; differences are paired with the whole model's on the
same rows. "first trees" is the baseline: as many of the first trees as the budget holds, nothing fitted. Sizes are of the artifacts'
engine files. "all seeds" takes a row's mean over the seeds that judged it.

    python benchmarks/bench_forests.py [forest] [boosting] [gradient] [regressor] [--ratios 0.2 ...] [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import subjects

import portside as ps
from portside.compress.base import PassContext
from portside.compress.forest_build import built
from portside.compress.forest_fit import Shape
from portside.compress.retold import retold
from portside.runtimes.evaluate import answers, rules_of
from portside.runtimes.onnx_weights import TensorPart, read_tensors
from portside.runtimes.quality import Task, groups, task_of
from portside.runtimes.timing import interleave, ratio, table
from portside.runtimes.trees import Trees
from portside.sdk.core.package import Package
from portside.sdk.core.statistics import MIN_ROWS, Estimate, paired_difference

SEEDS = (0, 1, 2, 3, 4)
RATIOS = (0.2, 0.1, 0.05)
SHRINK, ROWS = 2000, 10_000
"""Rows at most to shrink on, and in all."""


@dataclass(frozen=True)
class Subject:
    """A packed ensemble, and rows that it was not trained on, with groups of them."""

    package: Package
    rows: ps.Data


@cache
def subject(name: str) -> Subject:
    """Of the zoo: all rows behind those that trained it."""
    datasets = subjects.import_module("datasets")
    frame, labels, first = {
        "forest": lambda: (*datasets.loans(), 20000), "boosting": lambda: (*datasets.census(), 30000),
        "gradient": lambda: (*_houses(datasets), 2500), "regressor": lambda: (*_incomes(datasets), 2500),
    }[name]()  # fmt: skip
    frame, labels = frame.iloc[first : first + ROWS], labels[first : first + ROWS]
    columns = {key: frame[key].tolist() if frame[key].dtype == object else frame[key].to_numpy() for key in frame.columns}
    slices = {"forest": "salary_range", "boosting": "RAC1P"}.get(name)
    held = columns[slices] if slices else np.digitize(columns["HouseAge"], np.quantile(columns["HouseAge"], [0.25, 0.5, 0.75]))
    return Subject(ps.open(subjects.PACKAGES / name), ps.Data(columns, labels, {slices or "HouseAge": np.array(held).astype(str)}))


def _houses(datasets: Any) -> tuple[Any, Any]:
    frame, labels = datasets.houses()
    return frame.round(1), labels


def _incomes(datasets: Any) -> tuple[Any, Any]:
    frame, _ = datasets.houses()
    return frame.drop(columns="MedInc"), frame["MedInc"].to_numpy()


def measure(short: bool = False, names: Sequence[str] = (), ratios: Sequence[float] = RATIOS) -> list[dict[str, Any]]:
    """One row per model, way and seed, and one over all seeds; `short`: one seed and one ratio."""
    seeds, shares = (SEEDS[:1], ratios[:1]) if short else (SEEDS, ratios)
    return [row for name in names or NAMES for row in _subject(name, seeds, shares)]


NAMES = ("forest", "boosting", "gradient", "regressor")


def _subject(name: str, seeds: Sequence[int], ratios: Sequence[float]) -> Iterator[dict[str, Any]]:
    held, size = subject(name), len(subject(name).rows)
    with tempfile.TemporaryDirectory() as work:
        whole = Compiled(held.package, Path(work) / "whole")
        answered = whole.task(held.rows)
        ways = [(f"ratio {share:g}", ps.Forest(ratio=share)) for share in ratios]
        ways += [("0.2, thresholds 32, leaves auto", ps.Forest(0.2, thresholds=32, leaves="auto"))]
        for way, step in (*ways, ("first trees 0.2", None)):
            gaps = np.full((len(seeds), size), np.nan)
            for place, seed in enumerate(seeds):
                print(f"{name}, {way}, seed {seed}", file=sys.stderr)
                order = np.random.default_rng(seed).permutation(size)
                count = min(SHRINK, size // 3)
                rows, judged = held.rows.take(order[:count]), order[count:]
                folder = Path(work) / f"{way}-{seed}".replace(" ", "-")
                small = step.run(held.package, rows, PassContext(folder, seed)) if step else first_trees(held.package, 0.2, folder)
                made = Compiled(small, folder.with_suffix(".compiled"), tflite=place == 0)
                before, after = answered.take(judged), made.task(held.rows.take(judged))
                gaps[place, judged] = after.per_row - before.per_row
                yield {"model": name, "way": way, "seed": seed, **compared(before, after, held.rows.take(judged)), **sizes(whole, made),
                       "latency": latency(whole, made, held.rows)}  # fmt: skip
                made.session.close()
            seen = np.isfinite(gaps).any(axis=0)
            mean = np.nanmean(gaps[:, seen], axis=0)
            yield {"model": name, "way": way, "seed": "all", "difference": paired_difference(mean, np.zeros_like(mean)).to_dict()}
        whole.session.close()


class Compiled:
    """A package on its targets: its sizes, and its answers from onnx-cpu."""

    def __init__(self, package: Package, folder: Path, tflite: bool = True) -> None:
        self.package = package
        targets = ("onnx-cpu", "tflite") if tflite else ("onnx-cpu",)
        artifacts = {target: ps.compile(package, target, out=folder / target) for target in targets}
        self.bytes = {target: _bytes(artifact.path / "engine") for target, artifact in artifacts.items()}
        self.session = ps.load(artifacts["onnx-cpu"].path)
        stage = next(stage for stage in package.content.stages if stage.kind == "trees")
        self.trees = Trees.from_tensors(*read_tensors(package, stage))

    def task(self, rows: ps.Data) -> Task:
        """Answers beside labels. Raises ValueError where they do not fit."""
        found = task_of(rows, answers(self.session, rows), rules_of(self.package), self.package.signature)
        if found is None:
            raise ValueError(self.package.name)
        return found


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def sizes(whole: Compiled, small: Compiled) -> dict[str, Any]:
    """Shares of nodes and bytes, and trees that are left."""
    shares = {target: size / whole.bytes[target] for target, size in small.bytes.items()}
    return {"nodes": len(small.trees.feature) / len(whole.trees.feature), "trees": len(small.trees.roots), "bytes": shares}


def compared(before: Task, after: Task, rows: ps.Data) -> dict[str, Any]:
    """Quality overall and in the worst slice, paired on these rows."""
    large = {key: at for key, at in groups(rows.slices).items() if len(at) >= MIN_ROWS}
    slices = {key: paired_difference(after.per_row[at], before.per_row[at]) for key, at in large.items()}
    sign = 1 if before.kind == "classification" else -1
    worst = min(slices, key=lambda key: sign * slices[key].value)
    return {
        "metric": before.primary, "before": float(before.per_row.mean()), "rows": len(rows),
        "difference": paired_difference(after.per_row, before.per_row).to_dict(),
        "worst": worst, "worst_difference": slices[worst].to_dict(),
        "flips": float((before.answer != after.answer).mean()) if before.kind == "classification" else None,
    }  # fmt: skip


def latency(whole: Compiled, small: Compiled, rows: ps.Data) -> dict[str, list[float]]:
    """Rows at once -> (median, lowest, highest) ratio to the whole model, codec included."""
    found: dict[str, list[float]] = {}
    for count in (1, 256):
        given = rows.take(np.arange(count)).inputs
        pair = {"whole": whole.session, "small": small.session}
        both = interleave({name: partial(session.predict, given) for name, session in pair.items()}, 5, 0.1)
        found[str(count)] = list(ratio(both["small"], both["whole"]))
    return found


def first_trees(package: Package, share: float, out: Path) -> Package:
    """The baseline: the first trees that a share of the nodes holds; a forest's mean is over these."""
    stage = next(stage for stage in package.content.stages if stage.kind == "trees")
    trees = Trees.from_tensors(*read_tensors(package, stage))
    ends = np.append(trees.roots[1:], len(trees.feature))
    count = max(1, int(np.searchsorted(ends, share * len(trees.feature), side="right")))
    whole = Shape.of(trees)
    factor = len(trees.roots) / count if trees.aggregate == "mean" else 1.0
    made = built(replace(whole, chosen=np.arange(count), value=whole.value * factor))
    return retold(package, {stage.name: TensorPart(made.to_dict(), made.to_tensors())}, {"kind": "first-trees"}, PassContext(out))


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read: differences in points (of the error's own unit for values) with paired 95% intervals."""
    head = ["model", "way", "seed", "nodes", "trees", "onnx-cpu", "tflite", "difference", "(95%)", "worst slice", "1 row", "256 rows"]
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    about = [row["model"], row["way"], str(row["seed"])]
    unit = 1.0 if row["model"] == "regressor" else 100.0
    change = Estimate(**row["difference"])
    words = [f"{unit * change.value:+.3f}", f"({unit * change.low:+.3f} to {unit * change.high:+.3f})"]
    if row["seed"] == "all":
        return [*about, "", "", "", "", *words, "", "", ""]
    sizes = [f"{row['bytes'][target]:.3f}x" if target in row["bytes"] else "" for target in ("onnx-cpu", "tflite")]
    worst = f"{row['worst']} {unit * row['worst_difference']['value']:+.2f}"
    times = [f"{row['latency'][count][0]:.2f}x" for count in ("1", "256")]
    return [*about, f"{row['nodes']:.3f}x", str(row["trees"]), *sizes, *words, worst, *times]


def main() -> None:
    """By itself, with a choice of models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--short", action="store_true", help="one seed, one ratio")
    parser.add_argument("--json", type=Path, help="where the rows go")
    parser.add_argument("--ratios", type=float, nargs="*", default=RATIOS, help="shares of the nodes")
    asked = parser.parse_args()
    rows = measure(asked.short, asked.names, asked.ratios)
    print(show(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
