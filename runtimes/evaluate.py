"""`evaluate`: how good a package is on labelled data, overall and per slice, and against another package, paired.

Every figure carries its 95% interval; a slice of fewer than 32 rows says "not enough data" instead of a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..sdk.core import statistics as stats
from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from ..sdk.core.signature import Array
from ..sdk.core.statistics import MIN_ROWS, Estimate
from .artifact import Artifact
from .base import LoadOptions, Session, runtime
from .quality import LOW_IS_GOOD, Quality, Task, groups, quality_of, task_of
from .reference import Reference
from .report import metric_cells, table
from .report_page import comparison, document, quality
from .subjects import contract_of, opened, rows_at_once

Subject: TypeAlias = Package | Artifact | Path | str


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one package, and its difference to another on the same rows.

    Attributes:
        name: of the package.
        package: its digest.
        output: the output that was held against the labels.
        rows: rows with a label.
        quality: metrics overall and per slice, worst first.
        against: digest of the other package, or None.
        difference: metric -> this package minus the other, paired, with interval. Positive is better but for errors.
        slice_difference: "name=group" -> difference of the primary metric, worst first; None: not enough data.
        flips: rows in which the two answer differently.
    """

    name: str
    package: str
    output: str
    rows: int
    quality: Quality
    against: str | None = None
    difference: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    slice_difference: Mapping[str, Estimate | None] = field(default_factory=dict[str, "Estimate | None"])
    flips: Estimate | None = None

    @property
    def metrics(self) -> Mapping[str, Estimate]:
        """Metric -> figure with interval, over all rows."""
        return self.quality.metrics

    @property
    def slices(self) -> Mapping[str, Mapping[str, Estimate] | None]:
        """ "name=group" -> metrics, worst first; None: not enough data."""
        return self.quality.slices

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        small = "not enough data"
        return {
            "name": self.name, "package": self.package, "output": self.output, "rows": self.rows, "quality": self.quality.to_dict(),
            "against": self.against, "difference": {key: held.to_dict() for key, held in self.difference.items()},
            "slice_difference": {key: held.to_dict() if held else small for key, held in self.slice_difference.items()},
            "flips": self.flips.to_dict() if self.flips else None,
        }  # fmt: skip

    def to_html(self, path: Path | str) -> Path:
        """Write a page that stands alone."""
        file, data = Path(path), self.to_dict()
        file.parent.mkdir(parents=True, exist_ok=True)
        body = [f"<h1>Quality of {self.name}</h1>", quality(data["quality"]), comparison(data) if self.against else ""]
        file.write_text(document(f"Quality of {self.name}", body), encoding="utf-8")
        return file

    def __str__(self) -> str:
        names = list(self.metrics)
        rows = [("all", str(self.rows), *metric_cells(self.metrics, names))]
        rows += [(key, str(self.quality.counts[key]), *metric_cells(held, names)) for key, held in self.slices.items()]
        lines = [f"{self.name}, {self.output} on {self.rows} rows", *table(("slice", "rows", *names), rows)]
        return "\n".join(lines + self._against_lines())

    def _against_lines(self) -> list[str]:
        if self.against is None:
            return []
        rows = [(key, str(held)) for key, held in self.difference.items()]
        slices = self.slice_difference.items()
        rows += [(f"{self.quality.primary}, {key}", str(held) if held else "not enough data") for key, held in slices]
        rows += [("answers that differ", str(self.flips))]
        return ["", *table((f"difference to {self.against[:19]}", "95% interval, paired"), rows)]


def evaluate(package: Subject, data: Data, against: Subject | None = None, *, trust: bool = False) -> Evaluation:
    """Metrics on labelled data.

    Args:
        package: a package (answers on the reference runtime), an artifact (on its own), a folder, or a name in the store.
        data: inputs by wire field, labels, slices.
        against: another package or artifact, answered on the same rows.
        trust: host stages may run.

    Raises:
        InputError: no labels, or labels that fit no output.
        FormatError, IntegrityError, StoreError: not a package, altered, or not in the store.
        TrustError: host stages would have to run.
    """
    first = opened(package, trust)
    task = _task(first, data, trust)
    found = Evaluation(first.name, digest_of(first), task.output, task.rows, quality_of(task, data.slices))
    if against is None:
        return found
    second = opened(against, trust)
    other = _task(second, data, trust)
    if other.kind != task.kind:
        raise InputError("The two packages answer different questions", got=other.kind, expected=task.kind)
    slices = _slice_differences(task, other, data.slices)
    flips = stats.clopper_pearson(int((task.answer != other.answer).sum()), task.rows)
    return Evaluation(found.name, found.package, found.output, found.rows, found.quality, digest_of(second),
                      differences(task, other), slices, flips)  # fmt: skip


def answers(session: Session, data: Data) -> list[dict[str, Any]]:
    """What a session answers to data, batch by batch, names of categories included."""
    return [session.predict(batch.inputs) for batch in data.batches(rows_at_once(session.info.signature))]


def differences(first: Task, second: Task) -> dict[str, Estimate]:
    """Metric -> first minus second on the same rows, with a paired bootstrap interval."""
    found = {first.primary: stats.paired_difference(first.per_row, second.per_row)}
    if first.kind == "classification":
        found["balanced accuracy"] = stats.bootstrap(lambda rows: _recall(first, rows) - _recall(second, rows), first.rows, draws=400)
    if first.positive is not None and second.positive is not None:
        one, two, truth = first.positive, second.positive, first.truth == first.truth.max()
        found["auc"] = stats.bootstrap(
            lambda rows: stats.auc(truth[rows], one[rows]).value - stats.auc(truth[rows], two[rows]).value, first.rows, draws=400
        )
    return found


def _recall(task: Task, rows: Array) -> float:
    return stats.balanced_accuracy(task.truth[rows], task.answer[rows]).value


def _slice_differences(first: Task, second: Task, slices: Mapping[str, Array]) -> dict[str, Estimate | None]:
    found: dict[str, Estimate | None] = {}
    for key, rows in groups(slices).items():
        enough = len(rows) >= MIN_ROWS
        found[key] = stats.paired_difference(first.per_row[rows], second.per_row[rows]) if enough else None
    sign = -1.0 if first.primary in LOW_IS_GOOD else 1.0
    return dict(sorted(found.items(), key=lambda item: (item[1] is None, sign * item[1].value if item[1] else 0.0, item[0])))


def _task(subject: Package | Artifact, data: Data, trust: bool) -> Task:
    if data.labels is None:
        raise InputError("There are no labels to measure quality with", fix="Pass Data(..., labels=...).")
    session, rules = session_of(subject, trust), rules_of(subject)
    try:
        task = task_of(data, answers(session, data), rules, session.info.signature)
    finally:
        session.close()
    if task is None:
        kinds = ", ".join(f"{name} ({rule.kind})" for name, rule in rules.items())
        got = f"{np.asarray(data.labels).dtype} labels of shape {list(np.shape(data.labels))}"
        raise InputError("The labels fit no output", got=got, expected=f"one per row, like one of {kinds}",
                         fix="Labels are class codes or names for decisions, numbers for values.")  # fmt: skip
    return task


def session_of(subject: Package | Artifact, trust: bool = False) -> Session:
    """A session on the subject: a package answers on the reference runtime, an artifact on its own."""
    if isinstance(subject, Artifact):
        return runtime(subject.target).load(subject.path, LoadOptions(trust=trust))
    return Reference().open(subject)


def rules_of(subject: Package | Artifact) -> Mapping[str, Rule]:
    """How its outputs are judged. Raises FormatError without a contract."""
    return subject.contract().rules if isinstance(subject, Artifact) else contract_of(subject).rules


def digest_of(subject: Package | Artifact) -> str:
    """The digest of the package that answers."""
    return subject.package_digest if isinstance(subject, Artifact) else subject.digest
