"""What a graph does next: a pure function of the plan, the results so far and the time left. No clock, no calls, no models.

- A step can begin once every step that it reads has an answer or will have none. Its rows are those that its inputs have,
  that its condition keeps, and of these the best where it is cut. No rows: it is skipped.
- A step that is due when no time is left, or whose input is lost by a fault, is answered by its default where it has one, and
  is skipped otherwise.
- An output of the answer is taken row by row from the first of its sources that has the row. The answer stands as soon as no
  step that is still to come could change it.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from ...sdk.core.signature import Array
from .references import Condition, Reference, Source
from .rows import Answered, Missing, Results, Rows, best, both, kept

DEADLINE, CONDITION, NO_INPUT = "deadline", "condition", "no-input"


@dataclass(frozen=True)
class Cut:
    """The best `k` rows by the first of these references whose step has answered."""

    by: tuple[Reference, ...]
    k: int
    largest: bool = True


@dataclass(frozen=True)
class StepPlan:
    """One step as the plan sees it.

    Attributes:
        inputs: steps whose outputs it reads -> whether rows are read from there.
        when, cut: which rows it takes.
        deadline_ms: its time; None: as long as the graph has.
        default: its fallback ends with a default.
    """

    name: str
    inputs: Mapping[str, bool] = field(default_factory=dict[str, bool])
    when: Condition | None = None
    cut: Cut | None = None
    deadline_ms: float | None = None
    default: bool = False

    @cached_property
    def needs(self) -> frozenset[str]:
        """Steps that must be settled before this one can begin."""
        read = [*(self.when.references if self.when else ()), *(self.cut.by if self.cut else ())]
        return frozenset(self.inputs) | {reference.step for reference in read}


@dataclass(frozen=True)
class Plan:
    """A graph. `steps` in an order in which each comes after those it needs, see `ordered`."""

    steps: tuple[StepPlan, ...]
    answer: Mapping[str, tuple[Source, ...]]
    deadline_ms: float | None = None
    reserve_ms: float = 0.0
    cut: Cut | None = None


@dataclass(frozen=True)
class Start:
    """Run a step on these rows within this time."""

    step: StepPlan
    rows: Rows
    budget_ms: float | None


@dataclass(frozen=True)
class Fill:
    """Answer a step by its default, for these rows."""

    step: StepPlan
    rows: Rows
    why: str


@dataclass(frozen=True)
class Skip:
    """Leave a step out. `fault`: it should have run."""

    step: StepPlan
    why: str
    fault: bool = False


Move: TypeAlias = Start | Fill | Skip


def ordered(steps: Sequence[StepPlan]) -> tuple[StepPlan, ...]:
    """The steps, each after those it needs. Raises graphlib.CycleError; its second argument is the cycle."""
    by_name = {step.name: step for step in steps}
    order = graphlib.TopologicalSorter({step.name: sorted(step.needs) for step in steps}).static_order()
    return tuple(by_name[name] for name in order if name in by_name)


def decide(plan: Plan, total: int, results: Results, running: Collection[str], left_ms: float | None) -> list[Move]:
    """Every step that can be settled or begun now, each named once.

    Args:
        plan: the graph.
        total: rows of the request.
        results: by step, of those that have ended.
        running: steps that have begun and not ended.
        left_ms: until the graph's steps must have ended; None: no deadline.
    """
    seen, moves = dict(results), list[Move]()
    for step in plan.steps:
        if step.name in seen or step.name in running or not all(need in seen for need in step.needs):
            continue
        moves.append(_move(step, total, seen, left_ms))
        if isinstance(skipped := moves[-1], Skip):
            seen[step.name] = Missing(skipped.why, skipped.fault)
    return moves


def _move(step: StepPlan, total: int, results: Results, left_ms: float | None) -> Move:
    kept_rows = _allowed(step, total, results)
    lost = [found for name in step.inputs if isinstance(found := results[name], Missing)]
    if lost and not (step.default and any(found.fault for found in lost)):
        return Skip(step, lost[0].why if not lost[0].fault else NO_INPUT, any(found.fault for found in lost))
    rows = kept_rows if lost else _chosen(step, kept_rows, total, results)
    if rows is not None and not len(rows):
        return _without_rows(step, results)
    if lost:
        return Fill(step, rows, NO_INPUT)
    if left_ms is not None and left_ms <= 0:
        return Fill(step, rows, DEADLINE) if step.default else Skip(step, DEADLINE, fault=True)
    budgets = [budget for budget in (step.deadline_ms, left_ms) if budget is not None]
    return Start(step, rows, min(budgets) if budgets else None)


def _allowed(step: StepPlan, total: int, results: Results) -> Rows:
    """Rows that the condition keeps."""
    if step.when is None:
        return None
    true = kept(step.when, results, total)
    return None if true.all() else np.flatnonzero(true)


def _chosen(step: StepPlan, rows: Rows, total: int, results: Results) -> Rows:
    """Of these rows, those that the inputs have, and the best of them."""
    for name, by_row in step.inputs.items():
        if by_row and isinstance(found := results[name], Answered):
            rows = both(rows, found.rows)
    if step.cut is None:
        return rows
    reference = step.cut.by[0]
    found = results[reference.step]
    if not isinstance(found, Answered):
        return np.zeros(0, np.int64)
    chosen: Array = np.sort(best(found, reference, rows, total, step.cut.k, step.cut.largest))
    return None if len(chosen) == total else chosen


def _without_rows(step: StepPlan, results: Results) -> Skip:
    """No row is left: because of the condition, or because what it reads has failed."""
    lost = [found for name in step.needs if isinstance(found := results[name], Missing) and found.fault]
    return Skip(step, NO_INPUT, fault=True) if lost else Skip(step, CONDITION)
