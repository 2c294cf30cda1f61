"""The routes of an answer: one per row, and what the record says of them. Pure but for the dice, which are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...sdk.core.records import Record
from ...sdk.core.selection import AUTOMATION
from ..automation import Route, decide
from .plan import Columns, Plan

MIXED = "mixed"


class Routes(NamedTuple):
    """What becomes of the rows of one answer.

    Attributes:
        rows: by row.
        reviewed: rows that a person is to look at.
    """

    rows: tuple[Route, ...]
    reviewed: tuple[int, ...]

    @property
    def waiting(self) -> tuple[int, ...]:
        """Rows whose decision is a person's."""
        return tuple(row for row in self.reviewed if self.rows[row].waits)

    @property
    def withheld(self) -> tuple[int, ...]:
        """Rows of which the caller is not given what the model said."""
        return tuple(row for row in self.reviewed if self.rows[row].caller in ("pending", "default"))

    def marked(self, record: Record) -> Record:
        """The record of the answer, with who decides and how its rows were chosen."""
        rows, more = self.rows, dict[str, Any]()
        if len(rows) > 1:
            more["receipt"] = {**record.receipt, AUTOMATION: {"rows": [[row.selection, row.reason, row.answered_by] for row in rows]}}
        by, reason = _same([row.answered_by for row in rows]), _same([row.reason for row in rows])
        exposed = record.exposed and len(self.withheld) < len(rows)
        more |= {"selection": min(row.selection for row in rows), "selection_reason": reason, "exposed": exposed}
        return Record.quick(**{**vars(record), **more, "decided_by": record.decided_by if by == "model" else by})


def routes(plan: Plan, inputs: Columns, outputs: Mapping[str, Any], rows: int, champion: bool, draw: Callable[[], float]) -> Routes:
    """Decide every row.

    Args:
        plan: of the deployment.
        inputs, outputs: of the champion's signature, as typed tensors.
        rows: how many there are.
        champion: the outputs are the champion's own, given now or kept.
        draw: a number in [0, 1), anew at each call.
    """
    scores = [0.0] * rows if plan.score is None or not outputs else plan.score.of(outputs)
    dial = plan.dial
    if not plan.slices:
        found = tuple([decide(dial, score, draw(), None, champion) for score in scores])
    else:
        names = plan.names(inputs, outputs, rows)
        found = tuple([decide(dial, score, draw(), name, champion) for score, name in zip(scores, names, strict=True)])
    return Routes(found, tuple([row for row, route in enumerate(found) if route.review]))


def _same(values: Sequence[str]) -> str:
    """What all of them are, or that they differ."""
    return values[0] if all(value == values[0] for value in values) else MIXED
