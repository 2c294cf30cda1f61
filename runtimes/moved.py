"""How far answers that are no decisions moved between two models, and the rows that moved most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from ..sdk.core import distances
from ..sdk.core.contract import Rule
from ..sdk.core.measures import measure
from ..sdk.core.signature import Array
from .fidelity import shown
from .flipped import SHOWN, about, answer_of
from .paired import Answers, by_row

_NEIGHBOUR_ROWS = 1000
"""Rows among which neighbours are looked for: the search is quadratic."""


@dataclass(frozen=True)
class MovedRow:
    """One row whose answer moved: where it is, its label, both answers as text, and the distance in the kind's unit."""

    row: int
    slices: Mapping[str, str]
    label: str | None
    before: str
    after: str
    distance: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; a distance that is not finite is None."""
        return {**self.__dict__, "slices": dict(self.slices), "distance": self.distance if isfinite(self.distance) else None}


@dataclass(frozen=True)
class Drift:
    """How far an output that is no decision moved: distances per row in its kind's unit, as figures by name.

    Attributes:
        output, kind: which.
        figures: mean, p50, p95, p99 and max of the rows that have a distance; embeddings: cosine_min, cosine_mean and
            neighbour_overlap.
        infinite: rows without a finite distance, e.g. those that only one side answers with NaN.
        examples: up to 20 rows that moved most, those without a finite distance first.
    """

    output: str
    kind: str
    figures: Mapping[str, float]
    infinite: int = 0
    examples: tuple[MovedRow, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; figures that do not exist are None."""
        figures = {name: held if isfinite(held) else None for name, held in self.figures.items()}
        examples = [held.to_dict() for held in self.examples]
        return {"output": self.output, "kind": self.kind, "figures": figures, "infinite": self.infinite, "examples": examples}


def drift(name: str, rule: Rule, before: Answers, after: Answers, slices: Mapping[str, Array], labels: Array | None) -> Drift:
    """How far an output moved, by the kind of its rule.

    Args:
        name: of the output.
        rule: of it.
        before, after: the ancestor's answers and the subject's.
        slices: name -> group per row.
        labels: per row, None where a row has none.
    """
    apart = by_row(name, before, after, lambda one, two: measure(rule, one, two).distance)
    held = apart[np.isfinite(apart)]
    figures = _figures(held) if rule.kind != "embedding" else _cosines(held) | _overlap(before.joined(name), after.joined(name))
    examples = tuple(_example(row, name, before, after, slices, labels, float(apart[row])) for row in _most(apart))
    return Drift(name, rule.kind, figures, int(len(apart) - len(held)), examples)


def _figures(apart: Array) -> dict[str, float]:
    figures = {f"p{at}": float(np.quantile(apart, at / 100)) for at in (50, 95, 99)} if len(apart) else {}
    return {"mean": float(apart.mean()), **figures, "max": float(apart.max())} if len(apart) else {}


def _cosines(apart: Array) -> dict[str, float]:
    return {"cosine_min": 1 - float(apart.max()), "cosine_mean": 1 - float(apart.mean())} if len(apart) else {}


def _overlap(before: Array | None, after: Array | None) -> dict[str, float]:
    if before is None or after is None or len(before) < 2:
        return {}
    some = np.unique(np.linspace(0, len(before) - 1, _NEIGHBOUR_ROWS).astype(np.int64))
    return {"neighbour_overlap": float(distances.neighbour_overlap(before[some], after[some]).mean())}


def _most(apart: Array) -> list[int]:
    """Rows that moved at all, the farthest first; of equal ones the first."""
    far = np.where(np.isfinite(apart), apart, np.inf)
    return [int(row) for row in np.argsort(-far, kind="stable")[:SHOWN] if far[row] > 0]


def _example(row: int, name: str, before: Answers, after: Answers, slices: Mapping[str, Array], labels: Array | None,
             distance: float) -> MovedRow:  # fmt: skip
    label, where = about(row, slices, labels)
    return MovedRow(row, where, label, shown(answer_of(before, name, row)), shown(answer_of(after, name, row)), distance)
