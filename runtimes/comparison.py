"""Two models' answers compared: metrics paired and per slice, decisions that flipped, numbers that moved. The facts of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from ..sdk.core.plan import plan_of
from ..sdk.core.signature import Array
from .artifact import Artifact
from .changes import Changes, Labelled, sliced
from .evaluate import digest_of
from .flipped import Flips, comparable, decides, flips
from .moved import Drift, drift
from .paired import Answers, newly_nan
from .quality import groups, task_of


@dataclass(frozen=True)
class Comparison:
    """What differs between an ancestor and a subject on the same rows.

    Attributes:
        name: of the subject.
        subject, ancestor: digests of the two packages.
        target: the subject's target, "reference" for a package.
        rows, labelled: rows compared, and those of them with a label.
        changes: metric -> before, after and paired drop, the primary one first; empty without labels.
        slices: "name=group" -> the same, worst first; None: not enough data.
        counts: "name=group" -> rows with a label, where there are any, else rows.
        flips: one per output that is a decision, the one that flips most first.
        drifts: one per other output.
        notes: what a reader must know beside the figures.
    """

    name: str
    subject: str
    ancestor: str
    target: str
    rows: int
    labelled: int
    changes: Changes = field(default_factory=dict[str, Any])
    slices: Mapping[str, Changes | None] = field(default_factory=dict[str, "Changes | None"])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    flips: tuple[Flips, ...] = ()
    drifts: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()


def compare(subject: Package | Artifact, ancestor: Package | Artifact, data: Data, rules: Mapping[str, Rule],
            before: Answers, after: Answers, output: str | None = None) -> Comparison:  # fmt: skip
    """Compare the subject's answers (`after`) with the ancestor's (`before`). `output`: what the labels are about; None: what they fit.

    Raises InputError where no output is common to both.
    """
    reasons = comparable(before, after, rules)
    names = [name for name, why in reasons.items() if not why]
    if not names:
        raise InputError("The two have no output that can be compared", got=", ".join(after.names), expected=", ".join(before.names))
    nan = newly_nan(before, after)
    broken = np.any([*nan.values(), np.zeros(len(data), bool)], axis=0)
    labels, known = _labels(data)
    scores = next((name for name in names if rules[name].kind == "score"), None)
    decisions = [name for name in names if decides(name, rules[name], before)]
    found = [flips(name, before, after, broken, data.slices, labels, scores) for name in decisions]
    about = {name: rules[name] for name in names if output is None or _about(name, output, rules)}
    labelled, why = _labelled(data, labels, known, about, before, after, broken)
    groups_of = {key: np.asarray(held)[known] for key, held in data.slices.items()} if labelled else data.slices
    return Comparison(
        subject.name, digest_of(subject), digest_of(ancestor), subject.target if isinstance(subject, Artifact) else "reference",
        len(data), int(known.sum()), changes=labelled.changes() if labelled else {},
        slices=sliced(labelled, groups_of) if labelled else {}, counts={key: len(rows) for key, rows in groups(groups_of).items()},
        flips=tuple(sorted(found, key=lambda held: -held.count)),
        drifts=tuple(drift(name, rules[name], before, after, data.slices, labels) for name in names if name not in decisions),
        notes=(*why, *_notes(subject, nan, reasons)),
    )  # fmt: skip


def _about(name: str, output: str, rules: Mapping[str, Rule]) -> bool:
    """Whether an output belongs to labels of `output`: itself, and the scores beside a decision, which say how sure it is."""
    return name == output or (output in rules and rules[output].kind == "decision" and rules[name].kind == "score")


def _labels(data: Data) -> tuple[Array | None, Array]:
    """(labels per row with None where one is missing, rows that have one); codes that a NaN made floats are codes again."""
    if data.labels is None:
        return None, np.zeros(len(data), bool)
    held = np.asarray(data.labels)
    rows = held.tolist() if held.ndim == 1 else [str(row) for row in held]
    known = np.array([not (row is None or (isinstance(row, float) and row != row)) for row in rows], bool)
    if not known.all():
        rows = [int(row) if isinstance(row, float) and row.is_integer() else row for row in rows]
    labels = np.empty(len(rows), object)
    labels[:] = [row if there else None for row, there in zip(rows, known, strict=True)]
    return labels, known


def _labelled(data: Data, labels: Array | None, known: Array, rules: Mapping[str, Rule], before: Answers, after: Answers,
              broken: Array) -> tuple[Labelled | None, tuple[str, ...]]:  # fmt: skip
    """Both tasks on the rows with a label; None with a note where there are none, or they fit no output."""
    if labels is None or not known.any():
        return None, ("there are no labels: metrics were not compared",)
    truth = np.asarray(data.labels) if known.all() else np.array(labels[known].tolist())
    rows = Data({"row": np.flatnonzero(known)}, labels=truth)
    tasks = [task_of(rows, [_taken(side, rules, known)], rules, side.signature) for side in (before, after)]
    if tasks[0] is None or tasks[1] is None or (tasks[0].kind, tasks[0].output) != (tasks[1].kind, tasks[1].output):
        return None, ("the labels fit no output: metrics were not compared",)
    return Labelled(tasks[0], tasks[1], broken[known]), ()


def _taken(answers: Answers, rules: Mapping[str, Rule], rows: Array) -> dict[str, Array]:
    joined = {name: answers.joined(name) for name in rules}
    return {name: held[rows] for name, held in joined.items() if held is not None}


def _notes(subject: Package | Artifact, nan: Mapping[str, Array], reasons: Mapping[str, str]) -> list[str]:
    found = [f"{name}: {int(rows.sum())} rows are NaN where the ancestor's are not, first row {int(rows.argmax())}"
             for name, rows in nan.items()]  # fmt: skip
    found += [f"{name} cannot be compared: {why}" for name, why in reasons.items() if why]
    if isinstance(subject, Package) and plan_of(subject.content.plan).lossy:
        found.append("the subject has a precision plan, and a package answers in float: audit a compiled artifact of it")
    return found
