"""Who decided the rows of one record, and why: what was written down then, and what the dial would do now."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from ...sdk.core.errors import InputError
from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ...sdk.core.selection import Selection, selection_of
from ..automation import Dial, decide
from ..records.reading import find, labels_of
from ..review.tables import REVIEWS, TABLES
from .gathering import scores_of
from .setting import Setting

WHY = {
    "confident": "its score reached the threshold, and it was not drawn for a check",
    "check": "its score reached the threshold, and it was drawn for a check: the answer stood, and a person was asked too",
    "low-confidence": "its score was below the threshold",
    "no-threshold": "no threshold was fitted: nothing is automated before there is one",
    "not-champion": "another entry of the chain answered, and the threshold was fitted on the champion",
    "level": "so the level says for all rows",
}


def explain(setting: Setting, number: str) -> dict[str, Any]:
    """A record's rows, JSON-ready. Raises InputError where there is no such record, FormatError."""
    with setting.open() as database:
        database.prepare(*TABLES)
        record = find(database, number)
        if record is None or record.name != setting.name:
            raise InputError("This deployment has no such record", field="record", got=number[:60])
        labels = labels_of(database, [number])
        query = select(REVIEWS.c.row, REVIEWS.c.id, REVIEWS.c.state, REVIEWS.c.answered_by).where(REVIEWS.c.record == number)
        with database.read() as connection:
            reviews = {row: (review, state, by) for row, review, state, by in connection.execute(query)}
    told = [_row(setting, record, row, labels.get((number, row)), reviews.get(row)) for row in range(_rows(setting, record))]
    return {"record": {"record": number, "model": record.receipt.get("model"), "server_ms": record.server_ms}, "rows": told}


def _rows(setting: Setting, record: Record) -> int:
    answers = record.outputs.get(setting.plan.output)
    known = record.receipt.get("automation", {}).get("rows", [])
    return max(len(answers) if isinstance(answers, list) else 1, len(known), 1)


def _row(setting: Setting, record: Record, row: int, label: Label | None, review: tuple[str, str, str | None] | None) -> dict[str, Any]:
    plan, selection = setting.plan, selection_of(record, row)
    scores, fault = scores_of(record, setting.package, plan.score)
    name = plan.names(record.inputs, record.outputs, row + 1)[row]
    score, dial = scores[row] if row < len(scores) else None, plan.dial.of(name)
    answers = record.outputs.get(plan.output)
    answer = answers[row] if isinstance(answers, list) and row < len(answers) else None
    return {
        "row": row, "slice": name, "answer": answer, "score": score, "no score": fault, "decided by": selection.decided_by,
        "reason": selection.reason, "why": _why(selection), "chosen for a person with probability": selection.probability,
        "label": None if label is None else label.values.get(plan.output), "labelled by": None if label is None else label.author,
        "review": None if review is None else review[0], "review is": None if review is None else review[1],
        "now": _now(dial, score),
    }  # fmt: skip


def _why(selection: Selection) -> str:
    if selection.reason is None:
        return "it was answered before there was a dial"
    return WHY.get(selection.reason, selection.reason)


def _now(dial: Dial, score: float | None) -> str:
    """What the dial would do with the same row today, but for the draw."""
    route = decide(dial, float("nan") if score is None else score, 1.0)
    who, at = "the model" if route.answered_by == "model" else "a person", dial.threshold
    threshold = "" if dial.level != "partial" else ", no threshold" if at is None else f", threshold {at:g}"
    return f"{who} would decide: level {dial.level}{threshold}"
