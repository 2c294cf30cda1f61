"""Quality: answers against labels, every figure with its 95% interval, overall and per slice.

What is measured follows from what there is: labels beside a decision give accuracy, balanced accuracy, calibration error
(with a confidence) and AUC (two classes); numbers beside a value give mean absolute error, root mean square error, R2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from ..sdk.core import statistics as stats
from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError
from ..sdk.core.signature import Array, Signature
from ..sdk.core.statistics import MIN_ROWS, Estimate

Metrics: TypeAlias = Mapping[str, Estimate]
LOW_IS_GOOD = ("mae", "rmse", "ece")
_DRAWS = 400
_LABELS = ("label", "class", "decision", "prediction")


@dataclass(frozen=True)
class Task:
    """Labels and answers, side by side.

    Attributes:
        kind: what can be measured.
        output: the output that is held against the labels.
        truth, answer: (rows,).
        positive: classification in two classes: score of the second class, (rows,).
        sure: classification: confidence in the answer, in [0, 1], (rows,).
    """

    kind: Literal["classification", "regression"]
    output: str
    truth: Array
    answer: Array
    positive: Array | None = None
    sure: Array | None = None

    @property
    def rows(self) -> int:
        """Rows with a label."""
        return len(self.truth)

    @property
    def primary(self) -> str:
        """The metric by which slices are ordered and packages compared."""
        return "accuracy" if self.kind == "classification" else "mae"

    @property
    def per_row(self) -> Array:
        """What the primary metric is the mean of."""
        return (self.answer == self.truth).astype(float) if self.kind == "classification" else np.abs(self.answer - self.truth)

    def take(self, rows: Array) -> Task:
        """The task on some rows."""
        positive = None if self.positive is None else self.positive[rows]
        sure = None if self.sure is None else self.sure[rows]
        return Task(self.kind, self.output, self.truth[rows], self.answer[rows], positive, sure)

    def metrics(self) -> dict[str, Estimate]:
        """Every metric that these rows allow."""
        return _classification(self) if self.kind == "classification" else _regression(self)


@dataclass(frozen=True)
class Quality:
    """Metrics overall and per slice.

    Attributes:
        primary: the metric that orders slices.
        metrics: name -> figure with interval.
        slices: "name=group" -> metrics, worst first; None where a slice has fewer than 32 rows: not enough data.
        counts: "name=group" -> rows.
    """

    primary: str
    metrics: Metrics
    slices: Mapping[str, Metrics | None] = field(default_factory=dict[str, "Metrics | None"])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; small slices say "not enough data"."""
        slices = {key: _plain(held) if held is not None else "not enough data" for key, held in self.slices.items()}
        return {"primary": self.primary, "metrics": _plain(self.metrics), "slices": slices, "rows": dict(self.counts)}


def measure(data: Data, answers: Sequence[Mapping[str, Any]], rules: Mapping[str, Rule],
            signature: Signature | None = None) -> Quality | None:  # fmt: skip
    """Metrics of answers to `data`; None where labels and outputs do not fit each other.

    Args:
        data: with labels.
        answers: outputs by name, batch by batch, in the order of the rows.
        rules: the kind of each output.
        signature: names of categories, where answers are names and labels are codes.
    """
    task = task_of(data, answers, rules, signature)
    return None if task is None else quality_of(task, data.slices)


def quality_of(task: Task, slices: Mapping[str, Array]) -> Quality:
    """The metrics of a task, overall and per slice."""
    found: dict[str, Metrics | None] = {}
    counts: dict[str, int] = {}
    for key, rows in groups(slices).items():
        counts[key] = len(rows)
        found[key] = task.take(rows).metrics() if len(rows) >= MIN_ROWS else None
    order = sorted(found, key=lambda key: (found[key] is None, _badness(found[key], task.primary), key))
    return Quality(task.primary, task.metrics(), {key: found[key] for key in order}, {key: counts[key] for key in order})


def groups(slices: Mapping[str, Array]) -> dict[str, Array]:
    """ "name=group" -> positions of its rows."""
    found: dict[str, Array] = {}
    for name, held in slices.items():
        named = np.asarray(held).astype(str)
        found |= {f"{name}={group}": np.flatnonzero(named == group) for group in np.unique(named)}
    return found


def task_of(data: Data, answers: Sequence[Mapping[str, Any]], rules: Mapping[str, Rule],
            signature: Signature | None = None) -> Task | None:  # fmt: skip
    """What labels and outputs allow to measure; None where no output fits the labels. Raises InputError without labels."""
    if data.labels is None:
        raise InputError("There are no labels to measure quality with", fix="Pass Data(..., labels=...).")
    joined = {name: np.concatenate([np.asarray(batch[name]) for batch in answers]) for name in rules if _joins(name, answers, len(data))}
    truth = np.asarray(data.labels)
    if signature is not None:
        truth = _coded_truth(truth, signature)
        if truth.dtype.kind in "iu":
            joined = {name: _codes(held, signature.output(name).categories) for name, held in joined.items()}
    if truth.ndim != 1:
        return None
    decisions = [name for name, rule in rules.items() if rule.kind == "decision" and _fits(joined.get(name), truth)]
    if decisions and truth.dtype.kind != "f":
        name = min(decisions, key=lambda one: (one.lower() not in _LABELS, list(rules).index(one)))
        positive, sure = _scores(joined, rules, joined[name], truth)
        return Task("classification", name, truth, joined[name], positive, sure)
    numbers = [name for name, rule in rules.items() if rule.kind in ("value", "score") and _fits(joined.get(name), truth)]
    if numbers and truth.dtype.kind in "fiu":
        return Task("regression", numbers[0], truth.astype(np.float64), joined[numbers[0]].astype(np.float64).ravel())
    return None


def _coded_truth(truth: Array, signature: Signature) -> Array:
    """Labels that are all names of one output's categories, as their codes; anything else as it is."""
    if truth.dtype.kind in "OUS":
        for spec in signature.outputs:
            if spec.categories is not None and set(truth.ravel().tolist()) <= set(spec.categories):
                return _codes(truth, spec.categories)
    return truth


def _codes(held: Array, names: tuple[str, ...] | None) -> Array:
    """Names of categories as their codes, -1 for none; anything else as it is."""
    if names is None or held.dtype.kind not in "OUS":
        return held
    codes = {name: code for code, name in enumerate(names)}
    return np.array([codes.get(name, -1) for name in held.ravel().tolist()], np.int64).reshape(held.shape)


def _scores(outputs: Mapping[str, Array], rules: Mapping[str, Rule], answer: Array, truth: Array) -> tuple[Array | None, Array | None]:
    """(score of the second class, confidence in the answer), where an output gives them."""
    rows = len(truth)
    scores = {name: outputs[name] for name, rule in rules.items() if rule.kind == "score" and name in outputs}
    two = len(np.unique(truth)) == 2 and truth.dtype.kind in "iub" and answer.dtype.kind in "iub"
    for name, held in scores.items():
        if held.ndim == 2 and held.shape[1] > 1:
            return (held[:, 1] if two and held.shape[1] == 2 else None), held.max(axis=1)
        if held.size == rows:
            flat = held.reshape(rows)
            sure = flat if name.lower() == "confidence" or not two else np.maximum(flat, 1 - flat)
            if not two:
                return None, sure
            return (np.where(answer == truth.max(), flat, 1 - flat) if name.lower() == "confidence" else flat), sure
    return None, None


def _classification(task: Task) -> dict[str, Estimate]:
    right = task.answer == task.truth
    found = {
        "accuracy": stats.wilson(int(right.sum()), task.rows),
        "balanced accuracy": stats.balanced_accuracy(task.truth, task.answer),
    }
    if task.positive is not None:
        found["auc"] = stats.auc(task.truth == task.truth.max(), task.positive)
    if (sure := task.sure) is not None:
        found["ece"] = stats.bootstrap(lambda rows: stats.calibration_error(right[rows], sure[rows]), task.rows, draws=_DRAWS)
    return found


def _regression(task: Task) -> dict[str, Estimate]:
    gaps, truth = task.answer - task.truth, task.truth
    return {
        "mae": stats.mean(np.abs(gaps)),
        "rmse": stats.bootstrap(lambda rows: float(np.sqrt((gaps[rows] ** 2).mean())), task.rows, draws=_DRAWS),
        "r2": stats.bootstrap(lambda rows: _r2(gaps[rows], truth[rows]), task.rows, draws=_DRAWS),
    }


def _r2(gaps: Array, truth: Array) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float((gaps**2).sum()) / spread if spread else float("nan")


def _joins(name: str, answers: Sequence[Mapping[str, Any]], rows: int) -> bool:
    """Whether the batches of an output can be put end to end into one row per row of the data."""
    held = [np.asarray(batch[name]) for batch in answers if name in batch]
    same = len({array.shape[1:] for array in held}) == 1 and all(array.ndim for array in held)
    return same and sum(len(array) for array in held) == rows


def _fits(held: Array | None, truth: Array) -> bool:
    """One answer per row, of a dtype that can equal the labels."""
    if held is None or held.size != len(truth):
        return False
    alike = (held.dtype.kind in "OUS") == (truth.dtype.kind in "OUS")
    return alike and (held.ndim == 1 or (held.ndim == 2 and held.dtype.kind == "f"))


def _badness(metrics: Metrics | None, primary: str) -> float:
    if metrics is None:
        return 0.0
    return -metrics[primary].value if primary in LOW_IS_GOOD else metrics[primary].value


def _plain(metrics: Metrics) -> dict[str, Any]:
    return {name: cast("Any", held.to_dict()) for name, held in metrics.items()}
