"""What the benchmarks of precision run on: real models, rows to calibrate, to choose and to judge on, divided by a seed."""

from __future__ import annotations

import atexit
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import portside as ps
from portside.sdk.core.package import Package

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path[:0] = [str(EXAMPLES / "zoo"), str(EXAMPLES / "visual_inspection")]
PACKAGES = EXAMPLES / "zoo" / "packages"
CALIBRATE = 512
"""Rows at most that ranges are found on."""
_WORK = tempfile.TemporaryDirectory(prefix="portside-bench-")
atexit.register(_WORK.cleanup)


@dataclass(frozen=True)
class Subject:
    """A float package and its rows, no row in two of the three.

    Attributes:
        package: float.
        learn: rows to calibrate on.
        choose: rows to choose settings on, labelled where there are labels.
        held: rows that nobody has seen, to judge what was chosen.
    """

    package: Package
    learn: ps.Data
    choose: ps.Data
    held: ps.Data


@cache
def inspector(seed: int = 0, schedule: ps.Schedule | None = None) -> Subject:
    """The example's model at full length. The seed divides the modules: 60% train the head, calibrate and choose; 40% judge.

    With a schedule it is packed to be trained end to end, and trusted.
    """
    cells, example = import_module("cells"), import_module("inspector")
    every, (net, features) = _cells(), _embedded()
    learned, unseen = cells.divide(len(every), seed=seed)
    model = example.fit(net, features[learned], every.labels[learned])
    order = np.random.default_rng(seed).permutation(learned)
    few = every.take(order[:128])
    # Of scores, int8 may move one in a hundred by more than 0.05 where the decision stays: quality is what is gated here.
    training = None if schedule is None else ps.Training(example.untrained, loss="binary-cross-entropy", schedule=schedule)
    out = Path(_WORK.name) / f"inspector{seed}{'' if schedule is None else f'-{schedule.epochs}-{schedule.lr}'}"
    package = ps.pack(model, name="inspector", featurize=example.featurize, predict=example.predict, examples={"image": few.images},
                      labels=few.labels, slices={"cell": few.types}, tolerances={"defect": {"p99": 0.3}}, training=training,
                      out=out)  # fmt: skip
    package = package if schedule is None else ps.open(out, trust=True)
    parts = (every.take(rows) for rows in (order[:CALIBRATE], order[CALIBRATE:], unseen))
    return Subject(package, *(ps.Data({"image": part.images}, labels=part.labels, slices={"cell": part.types}) for part in parts))


@cache
def minilm(seed: int = 0) -> Subject:
    """MiniLM on sentences that it was not packed with."""
    texts = import_module("datasets").sentences()
    order = 64 + np.random.default_rng(seed).permutation(len(texts) - 64)
    parts = (order[:400], order[400:1400], order[1400:2400])
    return Subject(ps.open(PACKAGES / "minilm"), *(ps.Data({"text": [texts[row] for row in rows]}) for rows in parts))


@cache
def cnn(seed: int = 0) -> Subject:
    """The Fashion-MNIST network; judged on the data set's own test pictures."""
    datasets = import_module("datasets")
    (x, y), (tx, ty) = datasets.clothes("train"), datasets.clothes("t10k")
    order = 20000 + np.random.default_rng(seed).permutation(len(x) - 20000)  # the first 20,000 trained it
    parts = ((x, y, order[:CALIBRATE]), (x, y, order[CALIBRATE : CALIBRATE + 3000]), (tx, ty, np.arange(len(tx))))
    return Subject(ps.open(PACKAGES / "cnn"), *(ps.Data({"picture": a[rows]}, labels=b[rows]) for a, b, rows in parts))


@cache
def mlp(seed: int = 0) -> Subject:
    """The perceptron on weather; its first 8,000 rows trained it, the next 4,000 are divided."""
    x, y = import_module("datasets").weather()
    return Subject(ps.open(PACKAGES / "mlp"), *(ps.Data({"x": x[rows]}, labels=y[rows]) for rows in _parts(8000, 12000, seed)))


@cache
def table(seed: int = 0) -> Subject:
    """The network on loans, with categories and missing values; its first 30,000 rows trained it."""
    frame, y = import_module("datasets").loans()
    numbers = frame.iloc[:, :4].to_numpy(np.float64)
    texts = {"salary": frame["salary_range"].to_numpy(object), "payment": frame["size_of_downpayment"].to_numpy(object)}
    parts = _parts(30000, 38000, seed)
    return Subject(ps.open(PACKAGES / "table"), *(
        ps.Data({"numbers": numbers[rows], **{name: list(held[rows]) for name, held in texts.items()}}, labels=y[rows]) for rows in parts
    ))  # fmt: skip


def _parts(first: int, last: int, seed: int) -> tuple[Any, Any, Any]:
    """Rows to calibrate on, to choose on (the rest of one half), and to judge on (the other half)."""
    order, half = first + np.random.default_rng(seed).permutation(last - first), (last - first) // 2
    return order[:CALIBRATE], order[CALIBRATE:half], order[half:]


@cache
def _cells() -> Any:
    return import_module("cells").load()


@cache
def _embedded() -> tuple[Any, Any]:
    """The frozen backbone and its features of every cell, (2624, 1280): found once, whatever the division, and kept for other runs."""
    example = import_module("inspector")
    net, file = example.backbone(), EXAMPLES.parent / "out" / "bench" / "cell-features.npy"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, example.embed(net, _cells().images))
    return net, np.load(file)
