"""From the records of a deployment and their labels to what thresholds are fitted on: one line per row whose truth is known.

Which labels count, and for how much:

- A review ("person", or "check" for rows drawn at random) counts for 1 / the probability with which its row was chosen, as it was
  recorded before the draw (Horvitz and Thompson 1952). So rows that were all looked at and rows that were drawn make one sample.
- A label that came of itself (an outcome from another system) was chosen with a probability that nobody knows, and is left out. Where
  outcomes come for every row, say so (`every_label`): then all labels count alike.
- Only answers of the champion as it is now: scores of another package, and of backups, are other scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, cast

import numpy as np

from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ...sdk.core.selection import Selection, selection_of
from ...sdk.core.signature import Array
from ..records.database import Database
from ..records.reading import between, labels_of
from .plan import Plan
from .score import Score
from .thresholds import REST

CHUNK = 500
EVER_MS = 1 << 60
REVIEWED = ("person", "check")
"""Sources of labels whose rows were chosen with a known probability."""


class Row(NamedTuple):
    """One labelled row.

    Attributes:
        score: of the model's answer.
        correct: that answer was the label.
        weight: how many rows it stands for.
        automated: the model's answer stood.
    """

    score: float
    correct: bool
    weight: float
    automated: bool
    server_ms: int


@dataclass
class Gathered:
    """What was found, by slice ("" for rows that are in none).

    Attributes:
        rows: labelled rows.
        traffic: scores of all rows.
        left_out: why labels do not count -> how many.
        waiting: rows that were chosen for a person and have no label.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict[str, "list[Row]"])
    traffic: dict[str, list[float]] = field(default_factory=dict[str, "list[float]"])
    left_out: Counter[str] = field(default_factory=Counter[str])
    waiting: int = 0

    def columns(self, name: str) -> tuple[Array, Array, Array]:
        """(scores, correct, weights) of a slice."""
        held = self.rows.get(name, [])
        scores, weights = np.array([row.score for row in held]), np.array([row.weight for row in held])
        return scores, np.array([row.correct for row in held], bool), weights

    def add(self, name: str, score: float, row: Row | None) -> None:
        """One row of the traffic, labelled or not."""
        self.traffic.setdefault(name, []).append(score)
        if row is not None:
            self.rows.setdefault(name, []).append(row)


def gather(database: Database, name: str, package: str, plan: Plan, *, since_ms: int = 0, until_ms: int = EVER_MS,
           every_label: bool = False) -> Gathered:  # fmt: skip
    """Read a deployment's records and labels.

    Args:
        name: of the deployment.
        package: digest of its champion.
        plan: its score, output and slices.
        since_ms, until_ms: records of this time.
        every_label: labels came for every row, or for rows drawn with equal chances.

    Raises FormatError.
    """
    found = Gathered()
    for part in _chunks(between(database, since_ms, until_ms, name)):
        labels = labels_of(database, [record.id for record in part])
        for record in part:
            own = {row: label for (number, row), label in labels.items() if number == record.id}
            _take(found, record, own, package, plan, every_label)
    return found


def _take(found: Gathered, record: Record, labels: Mapping[int, Label], package: str, plan: Plan, every_label: bool) -> None:
    scores, why = scores_of(record, package, plan.score)
    if why is not None:
        found.left_out[why] += len(labels)
        return
    answers = record.outputs.get(plan.output)
    names = plan.names(record.inputs, record.outputs, len(scores))
    for row, (score, name) in enumerate(zip(scores, names, strict=True)):
        selection, label = selection_of(record, row), labels.get(row)
        if label is None and _chosen(selection):
            found.waiting += 1
        found.add(name or REST, score, _row(found, record, answers, row, score, selection, label, plan.output, every_label))


def scores_of(record: Record, package: str, score: Score | None) -> tuple[list[float], str | None]:
    """The scores of a record's rows, or why it has none that count."""
    if record.package != package:
        return [], "not the champion's answer, or that of another package"
    held = None if score is None else record.outputs.get(score.output)
    if score is None or not isinstance(held, list):
        return [], "the score was not kept"
    try:
        values = score.of({score.output: [_number(value) for value in cast("list[Any]", held)]})
    except (ValueError, TypeError, IndexError, np.exceptions.AxisError):
        return [], "the score was not kept"
    return [min(max(value, 0.0), 1.0) for value in values], None


def _row(found: Gathered, record: Record, answers: Any, row: int, score: float, selection: Selection, label: Label | None, output: str,
         every_label: bool) -> Row | None:  # fmt: skip
    if label is None:
        return None
    if not isinstance(answers, list) or label.values.get(output) is None:
        found.left_out[f"nothing is said of {output}"] += 1
        return None
    weight = _weight(selection, label, every_label)
    if weight is None:
        found.left_out["chosen with a probability that nobody knows"] += 1
        return None
    correct = bool(cast("list[Any]", answers)[row] == label.values[output])
    return Row(score, correct, weight, selection.decided_by not in ("person", "both"), record.server_ms)


def _weight(selection: Selection, label: Label, every_label: bool) -> float | None:
    if every_label:
        return 1.0
    return 1 / selection.probability if label.source in REVIEWED and selection.probability > 0 else None


def _chosen(selection: Selection) -> bool:
    """A person was to look at this row, as far as its record tells."""
    return selection.reason == "check" or selection.decided_by in ("person", "both")


def _number(value: Any) -> Any:
    """NaN is null in records."""
    if isinstance(value, list):
        return [_number(part) for part in cast("list[Any]", value)]
    return float("nan") if value is None else value


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    held = iter(records)
    while part := list(islice(held, CHUNK)):
        yield part
