"""Decisions that differ between two models, row by row, with examples. How far other answers moved: see `moved`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..sdk.core import distances
from ..sdk.core.contract import Rule
from ..sdk.core.measures import element_kind, misfit
from ..sdk.core.signature import Array
from ..sdk.core.statistics import Estimate, clopper_pearson, lower_bound, upper_bound
from .fidelity import shown
from .paired import Answers, by_row
from .quality import groups

SHOWN = 20
"""Flipped rows that are shown."""


@dataclass(frozen=True)
class FlippedRow:
    """One row whose decision changed: where it is, its label, and both answers with their scores, as text.

    Of a score per class the largest is kept: how sure the model was.
    """

    row: int
    slices: Mapping[str, str]
    label: str | None
    before: str
    after: str
    before_score: str | None = None
    after_score: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.__dict__, "slices": dict(self.slices)}


@dataclass(frozen=True)
class Flips:
    """Decisions of one output that differ from the ancestor's.

    Attributes:
        output: its name.
        count: rows that flipped; those that only the subject answers with NaN are among them.
        rate: share with its exact two-sided interval.
        low, high: one-sided exact 95% bounds of the share.
        broken: rows that only the subject answers with NaN, anywhere in its answer.
        slices: "name=group" -> share with interval, worst first.
        examples: up to 20 rows, those with a label first, and among them those that became wrong.
    """

    output: str
    count: int
    rate: Estimate
    low: float
    high: float
    broken: int = 0
    slices: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    examples: tuple[FlippedRow, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "output": self.output, "count": self.count, "rate": self.rate.to_dict(), "upper_bound": self.high, "broken": self.broken,
            "slices": {key: held.to_dict() for key, held in self.slices.items()}, "examples": [row.to_dict() for row in self.examples],
        }  # fmt: skip


def comparable(before: Answers, after: Answers, rules: Mapping[str, Rule]) -> dict[str, str]:
    """Output -> why its answers cannot be compared, "" where they can; outputs with a rule that both sides have."""
    names = [name for name in rules if name in before.names and name in after.names]
    pairs = list(zip(before.batches, after.batches, strict=True))
    return {name: next(filter(None, (misfit(rules[name], one[name], two[name]) for one, two in pairs)), "") for name in names}


def decides(name: str, rule: Rule, answers: Answers) -> bool:
    """The output is a decision, or a sequence of them: it flips rather than drifts."""
    return rule.kind == "decision" or (rule.kind == "sequence" and element_kind(rule, answers.batches[0][name]) == "decision")


def flips(name: str, before: Answers, after: Answers, broken: Array, slices: Mapping[str, Array], labels: Array | None,
          scores: str | None) -> Flips:  # fmt: skip
    """Decisions of output `name` that differ.

    Args:
        name: of the output.
        before, after: the ancestor's answers and the subject's.
        broken: (rows,) rows that only the subject answers with NaN: its decision there is none, so they count.
        slices: name -> group per row.
        labels: per row, None where a row has none.
        scores: the output to show beside the answers.
    """
    off = by_row(name, before, after, distances.differs).astype(bool) | broken
    rows, count = len(off), int(off.sum())
    shares = {key: clopper_pearson(int(off[held].sum()), len(held)) for key, held in groups(slices).items()}
    worst = dict(sorted(shares.items(), key=lambda item: (-item[1].value, item[0])))
    shown_rows = _shown_first(off, _flat(before, name), labels)
    examples = tuple(_example(row, name, before, after, slices, labels, scores) for row in shown_rows)
    return Flips(name, count, clopper_pearson(count, rows), lower_bound(count, rows), upper_bound(count, rows), int(broken.sum()),
                 worst, examples)  # fmt: skip


def _shown_first(off: Array, before: list[Any], labels: Array | None) -> list[int]:
    """Flipped rows: with a label first, of these the ones that were right."""

    def order(row: int) -> tuple[bool, bool, int]:
        label = None if labels is None else labels[row]
        return label is None, label is not None and str(before[row]) != str(label), row

    return sorted(np.flatnonzero(off).tolist(), key=order)[:SHOWN]


def _flat(answers: Answers, name: str) -> list[Any]:
    return [row for batch in answers.batches for row in batch[name]]


def _example(row: int, name: str, before: Answers, after: Answers, slices: Mapping[str, Array], labels: Array | None,
             scores: str | None) -> FlippedRow:  # fmt: skip
    label, where = about(row, slices, labels)
    pair = [shown(answer_of(held, name, row)) for held in (before, after)]
    beside = [_sure(answer_of(held, scores, row)) if scores else None for held in (before, after)]
    return FlippedRow(row, where, label, pair[0], pair[1], beside[0], beside[1])


def about(row: int, slices: Mapping[str, Array], labels: Array | None) -> tuple[str | None, dict[str, str]]:
    """(label as text, slice name -> group) of a row."""
    label = None if labels is None or labels[row] is None else shown(labels[row])
    return label, {key: str(np.asarray(held)[row]) for key, held in slices.items()}


def _sure(score: Array) -> str:
    """A score as text; of one per class the largest."""
    numbers = np.asarray(score)
    return f"{float(numbers.max()):.4g}" if numbers.ndim == 1 and numbers.dtype.kind == "f" and numbers.size else shown(score)


def answer_of(answers: Answers, name: str, row: int) -> Array:
    """The answer of one output to one row."""
    for batch in answers.batches:
        if row < len(batch[name]):
            return batch[name][row]
        row -= len(batch[name])
    raise IndexError(row)
