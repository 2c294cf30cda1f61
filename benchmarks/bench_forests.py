"""Forests: how much smaller tree ensembles get on three targets and what it costs, on rows that neither model nor pass has seen.

Aim: a forest and a boosting model >= 5x smaller within 0.3 points on onnx-cpu, tflite and wasm. Five seeds divide the unseen rows: 2,000
to shrink on, the others to judge on. Differences are paired with the whole model's answers from the same target on the same rows; tflite
and wasm (in headless Chromium) answer 4,000 of them. "unlike" counts rows in which an artifact answers otherwise than
the package itself on the reference runtime, of 4,000. "first trees" is the baseline: as many of the first trees as the
budget holds. Bytes are those of the model's files in the artifacts; a page has 14 MB of engine beside them. "all" takes a row's mean over
the seeds that judged it; the worst slice is the one that loses most of those with 32 rows or more.

    python benchmarks/bench_forests.py [forest] [boosting] [gradient] [regressor] [--targets ...] [--ways ...] [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_precision import kept
from forest_models import COLUMNS, Step, distilled, fewer_numbers, first_trees, model_bytes, subject, trees_of, unlabelled
from intervals import Row, figure

import portside as ps
from portside.compress.base import PassContext
from portside.runtimes.base import Session
from portside.runtimes.evaluate import answers, rules_of
from portside.runtimes.quality import Task, groups, task_of
from portside.runtimes.reference import Reference
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core.package import Package
from portside.sdk.core.statistics import MIN_ROWS, Estimate, paired_difference

POINTS = 0.3
"""Of accuracy, that may be lost."""
SEEDS = (0, 1, 2, 3, 4)
TARGETS = ("onnx-cpu", "tflite", "wasm")
RATIO, TFLITE, SMALLER = 0.19, 0.16, 0.1
"""Of the nodes, and of the bytes of the arrays; the first two leave files room for what is not trees, which is more of a .tflite."""
SHRINK, FEW, DRAWS = 2000, 4000, 400
NAMES = ("forest", "boosting", "gradient", "regressor")
MAIN: dict[str, Step] = {f"ratio {RATIO:g}": ps.Forest(RATIO).run, f"first trees {RATIO:g}": first_trees(RATIO),
                         f"ratio {TFLITE:g}": ps.Forest(TFLITE).run}  # fmt: skip
OTHERS: dict[str, Step] = {
    f"ratio {RATIO:g}, no labels": unlabelled(ps.Forest(RATIO)), f"ratio {SMALLER:g}": ps.Forest(SMALLER).run,
    f"ratio {RATIO:g}, then few numbers": partial(fewer_numbers, ps.Forest(RATIO)),
}  # fmt: skip
STUDENTS: dict[str, Step] = {"a tree": distilled("tree"), "a network": distilled("network")}
WAYS = (*MAIN, *OTHERS, *STUDENTS)


def measure(short: bool = False, names: Sequence[str] = NAMES, ways: Sequence[str] = (), targets: Sequence[str] = TARGETS,
            file: Path | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """One row per model, way and seed, and one over all seeds; `short`: one seed of the main ways; `file`: written row by row."""
    return kept(_measured(names, ways or (tuple(MAIN) if short else WAYS), targets, SEEDS[: 1 if short else None]), file)


def _measured(names: Sequence[str], ways: Sequence[str], targets: Sequence[str], seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as work, ExitStack() as opened:
        judges = {name: opened.enter_context(closing(Judge(name, targets, Path(work) / name))) for name in names}
        for steps in (MAIN, OTHERS, STUDENTS):
            for name, judge in judges.items():
                wanted = {} if steps is STUDENTS and name not in COLUMNS else {way: step for way, step in steps.items() if way in ways}
                yield from (row for way, step in wanted.items() for row in judge.rows(way, step, seeds))


class Judge:
    """One model, whole, and everything that is held against it.

    Args:
        name: of the model.
        targets: to measure on, as far as they are for this model.
        folder: for packages and artifacts.
    """

    def __init__(self, name: str, targets: Sequence[str], folder: Path) -> None:
        self._name, self._folder, self._held = name, folder, subject(name)
        self._targets = tuple(target for target in targets if target == TARGETS[0] or name in COLUMNS)
        self._whole = {target: Compiled(self._held.package, target, folder / "whole") for target in self._targets}
        self._last: dict[str, Compiled] = {}
        self._answered = {target: made.task(self._held.rows) for target, made in self._whole.items()}

    def rows(self, way: str, step: Step, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
        """One per seed, and one over all."""
        size, found = len(self._held.rows), list[dict[str, Any]]()
        gaps = np.full((len(self._targets), len(seeds), size), np.nan)
        for place, seed in enumerate(seeds):
            order = np.random.default_rng(seed).permutation(size)
            count = min(SHRINK, size // 3)
            out = self._folder / f"{way}-{seed}".replace(" ", "-").replace(",", "")
            small = step(self._held.package, self._held.rows.take(order[:count]), PassContext(out, seed))
            main = way in MAIN
            targets = self._targets if main else tuple(target for target in self._targets if target == TARGETS[0])
            if not targets:
                continue
            found.append({"model": self._name, "way": way, "seed": seed, **_kept_trees(self._held.package, small)})
            judged = order[count:]
            own = _task(small, Reference().open(small), self._held.rows.take(judged[:FEW])).answer
            found[-1]["targets"] = {target: self._judged(small, target, out, judged, gaps[number, place], own, timed=main and not place)
                                    for number, target in enumerate(targets)}  # fmt: skip
            yield found[-1]
        about = {"model": self._name, "way": way, "seed": "all"}
        yield {**about, "targets": {target: self._summed(target, gaps[number]) for number, target in enumerate(self._targets)
                                    if np.isfinite(gaps[number]).any()}}  # fmt: skip

    def _judged(self, small: Package, target: str, out: Path, rows: Any, gaps: Any, own: Any, timed: bool) -> dict[str, Any]:
        rows = rows if target == TARGETS[0] else rows[:FEW]
        made = self._compiled(small, target, out)
        before, after = self._answered[target].take(rows), made.task(self._held.rows.take(rows))
        gaps[rows] = after.per_row - before.per_row
        found = {"bytes": made.bytes / self._whole[target].bytes, "size_bytes": made.bytes, "unlike": _unlike(after.answer[:FEW], own),
                 **self._compared(before, gaps)}  # fmt: skip
        if before.kind == "classification":
            found["flips"] = float((before.answer != after.answer).mean())
        if timed and target != "wasm":  # in a page the way to it would be timed
            found["latency"] = self._latency(made, target)
        return found

    def _compiled(self, small: Package, target: str, out: Path) -> Compiled:
        """The last one again where a seed changes nothing, as with the first trees."""
        before = self._last.get(target)
        if before is not None and before.package.digest == small.digest:
            return before
        if before is not None:
            before.close()
        self._last[target] = Compiled(small, target, out.with_suffix(".compiled"))
        return self._last[target]

    def close(self) -> None:
        """Free all engines."""
        for made in (*self._whole.values(), *self._last.values()):
            made.close()

    def _compared(self, before: Task, gaps: Any) -> dict[str, Any]:
        """Differences on the rows that have a gap, all of them and in the slice that loses most."""
        seen = np.flatnonzero(np.isfinite(gaps))
        large = {key: at for key, at in groups(self._held.rows.take(seen).slices).items() if len(at) >= MIN_ROWS}
        slices = {key: _interval(gaps[seen][at]) for key, at in large.items()}
        sign = 1 if before.kind == "classification" else -1
        worst = min(slices, key=lambda key: sign * slices[key].value)
        return {"metric": before.primary, "rows": len(seen), "before": float(before.per_row.mean()), "slices": len(slices),
                "difference": _interval(gaps[seen]).to_dict(), "worst": worst, "worst_difference": slices[worst].to_dict()}  # fmt: skip

    def _summed(self, target: str, gaps: Any) -> dict[str, Any]:
        by_seed = [float(np.nanmean(held)) for held in gaps if np.isfinite(held).any()]
        seen = np.isfinite(gaps).any(axis=0)
        mean = np.full(gaps.shape[1], np.nan)
        mean[seen] = np.nanmean(gaps[:, seen], axis=0)
        return {**self._compared(self._answered[target], mean), "by_seed": by_seed}

    def _latency(self, made: Compiled, target: str) -> dict[str, list[float]]:
        """Rows at once -> (median, lowest, highest) ratio to the whole model, codec included."""
        found: dict[str, list[float]] = {}
        for count in (1, 256):
            given = self._held.rows.take(np.arange(count)).inputs
            pair = {"whole": self._whole[target].session, "small": made.session}
            both = interleave({name: partial(session.predict, given) for name, session in pair.items()}, 5, 0.1)
            found[str(count)] = list(ratio(both["small"], both["whole"]))
        return found


class Compiled:
    """A package on a target: the bytes of its model, and its answers."""

    def __init__(self, package: Package, target: str, folder: Path) -> None:
        self.package, artifact = package, ps.compile(package, target, out=folder / target)
        self.bytes, self.session = model_bytes(artifact.path), ps.load(artifact.path)

    def task(self, rows: ps.Data) -> Task:
        """Answers beside labels."""
        return _task(self.package, self.session, rows)

    def close(self) -> None:
        """Free the engine."""
        self.session.close()


def _interval(gaps: Any) -> Estimate:
    return paired_difference(gaps, np.zeros_like(gaps), draws=DRAWS)


def _kept_trees(whole: Package, small: Package) -> dict[str, Any]:
    before, after = trees_of(whole), trees_of(small)
    if before is None or after is None:
        return {"nodes": None, "trees": None, "recipe": small.content.recipe[-1]["kind"]}
    return {"nodes": len(after.feature) / len(before.feature), "trees": len(after.roots), "recipe": small.content.recipe[-1]["kind"]}


def _task(package: Package, session: Session, rows: ps.Data) -> Task:
    """Answers beside labels. Raises ValueError where they do not fit."""
    found = task_of(rows, answers(session, rows), rules_of(package), package.signature)
    if found is None:
        raise ValueError(package.name)
    return found


def _unlike(answer: Any, own: Any) -> int:
    """Rows in which an artifact answers otherwise than its package does (values: by more than 1e-4)."""
    return int((np.abs(answer - own) > 1e-4 if own.dtype.kind == "f" else answer != own).sum())


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read: differences in points (of the error's own unit for values) with paired 95% intervals."""
    head = ["model", "way", "seed", "target", "trees", "bytes", "difference", "(95%)", "worst slice", "unlike", "1 row", "256 rows"]
    return table([head, *(_line(row, target, found) for row in rows for target, found in row["targets"].items())])


def plot(rows: Sequence[dict[str, Any]]) -> str:
    """What each way of the classifiers costs over all seeds, and the 0.3 points that are aimed at."""
    held = [(row, target, Estimate(**found["difference"])) for row in rows if row["seed"] == "all" and row["model"] != "regressor"
            for target, found in row["targets"].items()]  # fmt: skip
    drawn = [Row(f"{row['model']}, {row['way']}, {target}", 100 * one.value, 100 * one.low, 100 * one.high) for row, target, one in held]
    return figure("points of accuracy, paired 95% over rows", drawn, -POINTS)


def _line(row: dict[str, Any], target: str, found: dict[str, Any]) -> list[str]:
    unit = 1.0 if row["model"] == "regressor" else 100.0
    change, worst = Estimate(**found["difference"]), Estimate(**found["worst_difference"])
    size = f"{found['bytes']:.3f}x" if "bytes" in found else ""
    about = [row["model"], row["way"], str(row["seed"]), target, str(row.get("trees") or ""), size]
    words = [f"{unit * change.value:+.3f}", f"({unit * change.low:+.3f} to {unit * change.high:+.3f})"]
    times = [f"{found['latency'][count][0]:.2f}x" if "latency" in found else "" for count in ("1", "256")]
    slices = f"{found['worst']} {unit * worst.value:+.2f} ({unit * worst.low:+.2f} to {unit * worst.high:+.2f})"
    return [*about, *words, slices, str(found.get("unlike", "")), *times]


def main() -> None:
    """By itself, with a choice of models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--short", action="store_true", help="one seed, the main ways")
    parser.add_argument("--targets", nargs="*", choices=TARGETS, default=TARGETS, help="default: all; trees and networks on onnx-cpu alone")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=(), help="default: all")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.names or NAMES, asked.ways, asked.targets, asked.json)))


if __name__ == "__main__":
    sys.exit(main())
