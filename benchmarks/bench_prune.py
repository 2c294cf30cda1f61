"""Pruning: how much of EfficientNet-Lite0's latency goes, and what that costs, on solar cells nobody trained on.

Aim: half of the latency on onnx-cpu within 1 point of AUC. Each seed divides the cells by blocks of neighbours: 60% train, 40% judge.
"frozen" is the example as it is: ImageNet's backbone, a head on top. "taught" is pruned, then learns the inner features and the answers
of "frozen"; "longer, taught" is the network unpruned, taught by itself for as long. "labels" is pruned and learns from labels alone;
"longer" is the same, unpruned. All that learn have as many epochs of the same rows at the same rate. Drops are paired by row, against
"frozen" (the worst slice too) and against the unpruned network that learned alike, where the run has one before it. Latency is that of
one picture on one thread, resizing included, in turns with "frozen".

    python benchmarks/bench_prune.py [--seeds 0 ...] [--ways longer "macs 0.4" ...] [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import subjects
from bench_precision import kept
from intervals import Row, figure, over_seeds

import portside as ps
from portside.compress.base import PassContext
from portside.compress.prune import REPORT
from portside.compress.training.batches import Batches
from portside.compress.training.fit import Fit
from portside.compress.training.norms import estimated, parted
from portside.compress.training.retrace import repacked
from portside.compress.training.stored import trainee_of
from portside.runtimes.base import CompileOptions, Session, runtime
from portside.runtimes.changes import Labelled
from portside.runtimes.evaluate import answers, rules_of
from portside.runtimes.loading import load
from portside.runtimes.quality import Task, groups, task_of
from portside.runtimes.timing import interleave, ratio, table
from portside.sdk.core.errors import PortsideError
from portside.sdk.core.package import Package

SEEDS = (0, 1, 2, 3, 4)
SCHEDULE = ps.Schedule(epochs=3, batch=16, lr=1e-3, warmup=0.1)
"""Of fine-tuning, pruned or not."""
ROUND_TO = 16
"""Channels that ONNX Runtime computes at once with AVX-512: a layer of 17 costs as much as one of 32."""
NORMS = 512
"""Rows that norms' statistics are taken anew on."""
TURNS, SECONDS = 25, 0.06
POINT = 1.0
"""Of AUC, that may be lost."""

Way = Callable[[Package, ps.Data, PassContext], Package]


def longer(package: Package, learn: ps.Data, context: PassContext) -> Package:
    """Unpruned, trained end to end; its norms' statistics taken anew, as the pruned ones' are."""
    trainee = trainee_of(package)
    batches = Batches(package, trainee, learn)
    Fit(trainee.model, lambda batch: trainee.loss(trainee.model(*batch.features), batch.required()), batches, trainee.schedule,
        context).run()  # fmt: skip
    estimated(trainee.model, map(batches.of, parted(np.random.default_rng((context.seed, 1)).permutation(len(batches))[:NORMS])))
    return repacked(package, trainee, {"kind": "longer"}, context)


def pruned(share: float, **options: Any) -> ps.Prune:
    """Narrower, at this share of the products, in one round, and trained as long."""
    usual = {"importance": "taylor", "rows": 128, "steps": 1, "epochs": SCHEDULE.epochs, "round_to": ROUND_TO, "norm_rows": NORMS}
    return ps.Prune(share, **{**usual, **options})


def taught(share: float | None) -> Way:
    """Narrower, without training, then taught by the network as it was; None: as wide as it was."""

    def way(package: Package, learn: ps.Data, context: PassContext) -> Package:
        with tempfile.TemporaryDirectory() as work:
            thin = package
            if share is not None:
                thin = pruned(share, epochs=0).run(package, learn, replace(context, out=Path(work) / "thin"))
            steps = ps.Distil(student=thin, teacher=package, loss="features", epochs=SCHEDULE.epochs)
            return steps.run(thin, learn, replace(context, origin=package))

    return way


WAYS: dict[str, Way] = {
    "longer": longer,
    "longer, taught": taught(None),
    "macs 0.4, taught": taught(0.4),
    "macs 0.4, labels": pruned(0.4).run,
    "macs 0.4, no tuning": pruned(0.4, epochs=0, norm_rows=0).run,
    "macs 0.4, norms alone": pruned(0.4, epochs=0).run,
    "macs 0.55, taught": taught(0.55),
    "macs 0.3, taught": taught(0.3),
}
MAIN = ("longer", "macs 0.4, taught", "macs 0.4, labels")
"""What every seed measures; the rest is for the first."""


@dataclass
class Judged:
    """A package on onnx-cpu: its session, and its answers to the unseen rows beside their labels."""

    session: Session
    task: Task
    size_bytes: int

    @classmethod
    def of(cls, package: Package, rows: ps.Data, out: Path) -> Judged:
        """Compile, open, answer. Raises ValueError where answers and labels do not fit."""
        artifact = runtime("onnx-cpu").compile(package, CompileOptions(verify=False), out)
        session = load(artifact)
        task = task_of(rows, answers(session, rows), rules_of(package), package.signature)
        if task is None:
            raise ValueError(package.name)
        return cls(session, task, sum(file.stat().st_size for file in (artifact.path / "engine").rglob("*") if file.is_file()))


def measure(short: bool = False, seeds: Sequence[int] = SEEDS, ways: Sequence[str] = (), file: Path | None = None) -> list[dict[str, Any]]:
    """One row per seed and way; `short`: the first seed, 128 cells to train and 256 to judge on; `file`: see `kept`."""
    return kept((row for seed in seeds[: 1 if short else None]
                 for row in _seed(seed, ways or (MAIN if short or seed else tuple(WAYS)), short)), file)  # fmt: skip


def _seed(seed: int, ways: Sequence[str], short: bool) -> Iterator[dict[str, Any]]:
    learn, held = _rows(seed, short)
    package = subjects.inspector(seed, SCHEDULE).package
    with tempfile.TemporaryDirectory() as work, ExitStack() as opened:
        frozen = Judged.of(package, held, Path(work) / "frozen")
        opened.enter_context(closing(frozen.session))
        yield {"seed": seed, "way": "frozen", "rows": len(held), "trained on": len(learn), "bytes": frozen.size_bytes, **_auc(frozen.task)}
        before = {"frozen": frozen}
        for place, way in enumerate(ways):
            folder, started = Path(work) / str(place), time.monotonic()
            try:
                made = WAYS[way](package, learn, PassContext(folder / "package", seed))
            except PortsideError as error:
                yield {"seed": seed, "way": way, "refused": str(error)}
                continue
            judged = Judged.of(made, held, folder / "artifact")
            opened.enter_context(closing(judged.session))
            before |= {way: judged} if way.startswith("longer") else {}
            yield {"seed": seed, "way": way, "seconds": time.monotonic() - started, "bytes": judged.size_bytes / frozen.size_bytes,
                   **_auc(judged.task), "drops": {name: drops(one.task, judged.task, held) for name, one in before.items()
                   if one is not judged}, "latency": latency(frozen.session, judged.session, held), **_shape(made)}  # fmt: skip


def _rows(seed: int, short: bool) -> tuple[ps.Data, ps.Data]:
    """(all that trained the head, unseen), both as they are divided by the seed."""
    cells = subjects.import_module("cells")
    every = cells.load()
    parts = (every.take(rows) for rows in cells.divide(len(every), seed=seed))
    one, other = (ps.Data({"image": part.images}, labels=part.labels, slices={"cell": part.types}) for part in parts)
    random = np.random.default_rng(seed)
    return (one.take(random.permutation(len(one))[:128]), other.take(random.permutation(len(other))[:256])) if short else (one, other)


def _auc(task: Task) -> dict[str, Any]:
    return {"auc": task.metrics()["auc"].to_dict()}


def _shape(package: Package) -> dict[str, Any]:
    if REPORT not in package.manifest.annotations.files:
        return {}
    report = json.loads(package.read(REPORT))
    return {key: report[key][1] / report[key][0] for key in ("macs", "parameters")} | {"layers": report["layers"]}


def drops(before: Task, after: Task, rows: ps.Data) -> dict[str, Any]:
    """What the area under the ROC curve lost, in all and in the slice that lost most; paired, positive is worse."""
    both = Labelled(before, after, np.zeros(len(rows), bool))
    slices = {key: both.take(at).changes(calibration=False)["auc"].drop for key, at in groups(rows.slices).items()}
    worst = max(slices, key=lambda key: slices[key].value)
    return {"all": both.changes(calibration=False)["auc"].drop.to_dict(), "worst": worst, "slice": slices[worst].to_dict()}


def latency(before: Session, after: Session, rows: ps.Data) -> list[float]:
    """(median, lowest, highest) ratio for one picture."""
    row = rows.take([0]).inputs
    both = interleave({name: partial(session.predict, row) for name, session in (("before", before), ("after", after))}, TURNS, SECONDS)
    return list(ratio(both["after"], both["before"]))


def show(rows: list[dict[str, Any]]) -> str:
    """Every seed, then means over seeds. Drops of AUC in points, positive is worse, with 95% intervals: over rows, then over seeds."""
    head = ["seed", "way", "latency", "(spread)", "MACs", "bytes", "AUC", "less than frozen", "(95%)", "less than longer", "(95%)",
            "worst slice"]  # fmt: skip
    made = [row for row in rows if "drops" in row]
    lines = table([head, *map(_line, rows)])
    ways = dict.fromkeys(row["way"] for row in made)
    means = [["way", "seeds", "latency", "AUC less than frozen", "(95%)", "less than longer", "(95%)"],
             *(_mean([row for row in made if row["way"] == way]) for way in ways)]  # fmt: skip
    return f"{lines}\n\n{table(means)}"


def plot(rows: Sequence[dict[str, Any]]) -> str:
    """What each way loses against the example as it is, over seeds, and the point that is aimed at."""
    made = [row for row in rows if "drops" in row]
    lost = {way: over_seeds(100 * row["drops"]["frozen"]["all"]["value"] for row in made if row["way"] == way)
            for way in dict.fromkeys(row["way"] for row in made)}  # fmt: skip
    return figure("points of AUC lost, 95% over seeds", [Row(way, *one) for way, one in lost.items()], POINT)


def _line(row: dict[str, Any]) -> list[str]:
    about = [str(row["seed"]), row["way"]]
    if "refused" in row:
        return [*about, "refused", *([""] * 8), row["refused"][:80]]
    area = f"{row['auc']['value']:.4f}"
    if row["way"] == "frozen":
        return [*about, "1.00x", "", "1.000x", f"{row['bytes'] / 1e6:.1f} MB", area, *([""] * 5)]
    middle, low, high = row["latency"]
    sizes = [f"{middle:.2f}x", f"({low:.2f}-{high:.2f})", f"{row.get('macs', 1.0):.3f}x", f"{row['bytes']:.3f}x"]
    return [*about, *sizes, area, *_drop(row, "frozen"), *_drop(row, longest(row)), _worst(row)]


def longest(row: dict[str, Any]) -> str:
    """The unpruned way that learned as this one."""
    return "longer, taught" if "taught" in row["way"] else "longer"


def _drop(row: dict[str, Any], against: str) -> list[str]:
    if against not in row["drops"]:
        return ["", ""]
    drop = row["drops"][against]["all"]
    return [f"{100 * drop['value']:+.2f}", f"({100 * drop['low']:+.2f} to {100 * drop['high']:+.2f})"]


def _worst(row: dict[str, Any]) -> str:
    held = row["drops"]["frozen"]
    drop = held["slice"]
    return f"{held['worst']} {100 * drop['value']:+.2f} ({100 * drop['low']:+.2f} to {100 * drop['high']:+.2f})"


def _mean(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One way over its seeds."""
    found = [rows[0]["way"], str(len(rows)), f"{mean(row['latency'][0] for row in rows):.2f}x"]
    for against in ("frozen", longest(rows[0])):
        values = [100 * row["drops"][against]["all"]["value"] for row in rows if against in row["drops"]]
        middle, low, high = over_seeds(values) if values else (float("nan"),) * 3
        found += [f"{middle:+.2f}", f"({low:+.2f} to {high:+.2f})"] if len(values) > 1 else [f"{middle:+.2f}" if values else "", ""]
    return found


def main() -> None:
    """By itself, with a choice of seeds and ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="divisions")
    parser.add_argument("--ways", nargs="*", choices=[*WAYS, []], default=(), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--short", action="store_true", help="one seed, few rows")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.seeds, asked.ways, asked.json)))


if __name__ == "__main__":
    sys.exit(main())
