"""Fashion-MNIST for the benchmark of structures: a network trained to the end, rows, and a judge of packages made from it."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import garment_nets
import numpy as np
import torch
from subjects import import_module

import portside as ps
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.loading import load
from portside.runtimes.timing import interleave, ratio
from portside.sdk.core import statistics
from portside.sdk.core.package import Package

SCHEDULE = ps.Schedule(epochs=5, batch=128, lr=6e-3, weight_decay=1e-4)
"""Of passes that train."""
EPOCHS, RATE = 6, 3e-3
"""Of the network itself; longer ones no longer helped it."""


@dataclass(frozen=True)
class Setting:
    """How long everything takes."""

    minutes: float
    schedule: ps.Schedule = SCHEDULE
    epochs: int = EPOCHS
    learn: int = 30000
    choose: int = 10000
    test: int = 10000


def parts(seed: int, setting: Setting) -> tuple[ps.Data, ps.Data, ps.Data]:
    """(rows to learn from, to choose on, to judge on); the seed divides the first two, the last are the data set's own.

    Every picture to learn from is there twice, as it is and mirrored, for everything that learns.
    """
    datasets = import_module("datasets")
    (x, y), (tx, ty) = datasets.clothes("train"), datasets.clothes("t10k")
    order = np.random.default_rng(seed).permutation(len(x))
    choose = order[setting.learn : setting.learn + setting.choose]
    learn = order[: setting.learn]
    one = ps.Data({"picture": np.concatenate([x[learn], x[learn, :, ::-1]])}, labels=np.concatenate([y[learn], y[learn]]))
    return one, ps.Data({"picture": x[choose]}, labels=y[choose]), ps.Data({"picture": tx[: setting.test]}, labels=ty[: setting.test])


def teacher_of(learn: ps.Data, seed: int, setting: Setting, out: Path) -> Package:
    """The network, trained to the end, packed to be trained further by the schedule."""
    if out.is_dir():
        return ps.open(out, trust=True)
    torch.manual_seed(seed)
    model = garment_nets.make()
    x, y = torch.from_numpy(learn.inputs["picture"]), torch.from_numpy(np.asarray(learn.labels))
    schedule, epochs = setting.schedule, setting.epochs
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=schedule.weight_decay)
    slower = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs * -(-len(y) // schedule.batch), pct_start=0.1)
    loss = torch.zeros(())
    for epoch in range(epochs):
        for rows in torch.randperm(len(y)).split(schedule.batch):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(garment_nets.featurize(x[rows])), y[rows])
            loss.backward()
            optimizer.step()
            slower.step()
        print(f"teacher, epoch {epoch + 1} of {epochs}, loss of a step {loss:.3f}", file=sys.stderr, flush=True)
    few = learn.take(np.arange(256))
    ps.pack(model.eval(), name="garments", featurize=garment_nets.featurize, predict=garment_nets.predict, examples=few.inputs,
            labels=few.labels, out=out, training=ps.Training(garment_nets.make, schedule=schedule))  # fmt: skip
    return ps.open(out, trust=True)


class Judge:
    """Compiles packages for onnx-cpu and measures them beside the float one, on rows that nobody has seen."""

    def __init__(self, teacher: Package, test: ps.Data) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="portside-judged-")
        self._test, self._count = test, 0
        self.size_mb, self._session = self._opened(teacher)
        self._before = self._right(self._session)

    def p95_ms(self) -> float:
        """Of the float package, one picture on one thread: the lowest of five, for what else runs on the machine only adds."""
        return min(interleave({"float": lambda: self._session.run(self._row())}, 3, 0.3)["float"].percentile_ms(95) for _ in range(5))

    def __call__(self, package: Package) -> dict[str, Any]:
        """Size, latency to float, accuracy, and the paired drop in points with its 95% interval."""
        size, session = self._opened(package)
        right = self._right(session)
        both = interleave({"float": lambda: self._session.run(self._row()), "this": lambda: session.run(self._row())}, 7, 0.3)
        middle, low, high = ratio(both["this"], both["float"])
        drop = statistics.bootstrap(lambda at: 100 * float(self._before[at].mean() - right[at].mean()), len(right), draws=1000)
        return {"size_mb": size, "smaller": self.size_mb / size, "ratio": middle, "ratio_low": low, "ratio_high": high,
                "faster": 1 / middle, "accuracy": 100 * float(right.mean()), "drop": drop.value, "drop_low": drop.low,
                "drop_high": drop.high, "worst": self._worst(right)}  # fmt: skip

    def _worst(self, right: Any) -> dict[str, Any]:
        """The garment that lost most, in points, paired."""
        labels = np.asarray(self._test.labels)
        lost = {int(kind): 100 * (self._before[labels == kind] * 1.0 - right[labels == kind]) for kind in np.unique(labels)}
        kind = max(lost, key=lambda kind: float(lost[kind].mean()))
        held = statistics.bootstrap(lambda at: float(lost[kind][at].mean()), len(lost[kind]), draws=1000)
        return {"garment": kind, "drop": held.value, "low": held.low, "high": held.high}

    def _opened(self, package: Package) -> tuple[float, Any]:
        self._count += 1
        artifact = runtime("onnx-cpu").compile(package, CompileOptions(verify=False), Path(self._work.name) / str(self._count))
        return artifact.size_bytes / 1e6, load(artifact.path)

    def _row(self) -> dict[str, Any]:
        return {"picture": self._test.inputs["picture"][:1]}

    def _right(self, session: Any) -> Any:
        parts = [session.run(part.inputs)["garment"] == part.labels for part in self._test.batches(256)]
        return np.concatenate(parts)
