"""Whether the answer of a graph can be given, and which rows it holds. Pure, like the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from .plan import NO_INPUT, Plan
from .references import Reference, Source
from .rows import Answered, Missing, Results, Rows, best

Standing: TypeAlias = Literal["wait", "answer", "none"]


def standing(plan: Plan, total: int, results: Results) -> Standing:
    """Can the answer be given: yes, not yet, or never?"""
    rows = None
    if plan.cut is not None:
        base = _first(plan.cut.by, results)
        if not isinstance(base, Answered):
            return "wait" if base is None else "none"
        rows = base.rows
    found: Standing = "answer"
    for sources in plan.answer.values():
        one = _covered(sources, rows, total, results)
        if one == "none":
            return "none"
        found = "wait" if one == "wait" else found
    return found


def answer_rows(plan: Plan, total: int, results: Results) -> Rows:
    """The rows of the answer, in its order: all of them, or the best first."""
    if plan.cut is None:
        return None
    base = next(reference for reference in plan.cut.by if isinstance(results.get(reference.step), Answered))
    found = results[base.step]
    assert isinstance(found, Answered)  # noqa: S101  the line above
    return best(found, base, None, total, plan.cut.k, plan.cut.largest)


def _first(references: Sequence[Reference], results: Results) -> Answered | Missing | None:
    """Of the first step that has answered; None while one before it may still; Missing when none will."""
    for reference in references:
        found = results.get(reference.step)
        if not isinstance(found, Missing):
            return found
    return Missing(NO_INPUT, fault=True)


def _covered(sources: Sequence[Source], rows: Rows, total: int, results: Results) -> Standing:
    left: Rows = None
    for source in sources:
        if not isinstance(source, Reference):
            return "answer"
        found = results.get(source.step)
        if found is None:
            return "wait"
        if isinstance(found, Missing):
            continue
        if found.rows is None or found.axes.get(source.name) is None:
            return "answer"
        wanted = left if left is not None else np.arange(total) if rows is None else rows
        left = np.setdiff1d(wanted, found.rows, assume_unique=True)
        if not len(left):
            return "answer"
    return "none"
