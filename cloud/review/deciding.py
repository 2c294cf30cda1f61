"""Decisions: written with their label in one transaction, acknowledged when durable, repeatable, and taken back by whoever made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from ...sdk.core.errors import InputError
from ...sdk.core.labels import Label, Source
from ...sdk.core.records import new_id
from ..records.database import Database
from ..records.labelling import as_kept, write_labels
from ..records.tables import LABELS
from .item import Decision
from .notices import notify, recall
from .refusals import TakenError, UnknownReviewError
from .rows import decision, decision_of, status_of, text
from .tables import DECISIONS, REVIEWS
from .turn import writing

HOLD_MS = 60_000
"""How long an item that was undone is held for whoever undid it."""


def decide(database: Database, id: str, reviewer: str, values: Mapping[str, Any], now_ms: int, *, token: str | None = None,  # noqa: A002
           note: str = "", took_ms: int | None = None, tell_in_ms: int = 0, source: Source | None = None) -> Decision:  # fmt: skip
    """Decide an item. Durable, with its label, when this returns.

    Args:
        values: output -> value, as outputs stand in records; names of categories are taken too.
        token: a UUIDv7 made by whoever asks; asked twice with the same one there is one decision. Without one, the same answer of the
            same reviewer, said by codes or by names, is taken for the same decision.
        note: free text, kept with the label.
        took_ms: how long the person looked at it.
        tell_in_ms: how long webhooks wait, so that an undo meanwhile is silent.
        source: of the label; default: "check" for rows drawn at random, else "person".

    Raises:
        UnknownReviewError: there is no such item.
        TakenError: somebody else holds or decided it, or it was withdrawn.
        InputError: values that the output cannot hold.
    """
    with writing(database) as connection:
        row = _row(connection, id)
        if (before := _before(connection, row, reviewer, values, token)) is not None:
            return before
        _check_free(row, reviewer, now_ms)
        made = _record(connection, row, Decision(token or new_id(), id, reviewer, dict(values), now_ms, note=note, took_ms=took_ms),
                       source)
        if not made.late:
            said = {"state": "decided", "decision": made.id, "answer": text(dict(made.values)), "answered_by": reviewer,
                    "answered_ms": made.at_ms, "leased_by": reviewer, "leased_until_ms": None}  # fmt: skip
            connection.execute(update(REVIEWS).where(REVIEWS.c.id == id).values(said))
            notify(connection, "decided", status_of(_row(connection, id), now_ms), now_ms, tell_in_ms)
    return made


def undo(database: Database, id: str, reviewer: str, now_ms: int, *, token: str | None = None, seat: str = "",  # noqa: A002
         ms: int = HOLD_MS) -> Decision:  # fmt: skip
    """Take a decision back: the item is held for its reviewer again, and its label no longer counts. Asked twice it is undone once.

    Args:
        token: which decision; default: the one that holds.
        seat, ms: as `queue.lease`.

    Raises UnknownReviewError; TakenError where somebody else decided; InputError where there is nothing to take back.
    """
    with writing(database) as connection:
        row = _row(connection, id)
        made = _undoable(connection, row, reviewer, token)
        if made.undone_ms is not None:
            return made
        moment = _take_back(connection, row, made, now_ms)
        if row["decision"] == made.id:
            back = {"state": "pending", "decision": None, "answer": None, "answered_by": None, "answered_ms": None, "leased_by": reviewer,
                    "seat": seat, "leased_until_ms": now_ms + ms}  # fmt: skip
            connection.execute(update(REVIEWS).where(REVIEWS.c.id == id).values(back))
            if not recall(connection, id):
                notify(connection, "undone", status_of(_row(connection, id), now_ms), now_ms)
        return replace(made, undone_ms=moment)


def _before(connection: Connection, row: RowMapping, reviewer: str, values: Mapping[str, Any], token: str | None) -> Decision | None:
    """The decision that this call made already. Raises TakenError for a token that stands for another item."""
    if token is None:
        mine = select(DECISIONS).where(DECISIONS.c.review == row["id"], DECISIONS.c.reviewer == reviewer, DECISIONS.c.undone_ms.is_(None))
        last = connection.execute(mine.order_by(DECISIONS.c.at_ms.desc()).limit(1)).mappings().first()
        held = None if last is None else decision_of(last)
        return held if held is not None and _same(connection, row, held, values) else None
    held = decision(connection, token)
    if held is not None and (held.review, held.reviewer) != (row["id"], reviewer):
        raise TakenError("This token stands for another decision", held.reviewer, fix="Make a new one for each decision.")
    return held


def _same(connection: Connection, row: RowMapping, held: Decision, values: Mapping[str, Any]) -> bool:
    """These values are what a decision keeps, as they are said or with codes in place of names."""
    if dict(held.values) == dict(values):
        return True
    try:
        asked = Label(held.id, row["record"], row["row"], values, held.reviewer, held.at_ms)
        return json.loads(text(dict(as_kept(connection, asked).values))) == dict(held.values)
    except InputError:  # another answer, which is refused where it is written
        return False


def _check_free(row: RowMapping, reviewer: str, now_ms: int) -> None:
    """Raise TakenError unless the item is this reviewer's to decide, or nobody's."""
    by, state = row["leased_by"], row["state"]
    if state == "decided":
        raise TakenError(f"{row['answered_by']} has decided this item", row["answered_by"])
    if state == "withdrawn" or (state == "expired" and by != reviewer):
        raise TakenError(f"This item is {state}", row["answered_by"] or "")
    if state == "pending" and by not in (None, reviewer) and row["leased_until_ms"] > now_ms:
        raise TakenError(f"{by} holds this item", by)


def _record(connection: Connection, row: RowMapping, asked: Decision, source: Source | None) -> Decision:
    """Write the decision and its label. Raises InputError."""
    if row["output"] not in asked.values:
        raise InputError("A decision says what the output is", field=row["output"], got=", ".join(asked.values) or "nothing")
    last = connection.execute(select(DECISIONS.c.at_ms, DECISIONS.c.undone_ms).where(DECISIONS.c.review == row["id"])).all()
    moment = max([asked.at_ms, *(1 + (undone or at) for at, undone in last)])  # the newest label counts, whatever the clocks of servers say
    made = replace(asked, at_ms=moment, late=row["state"] == "expired")
    why = source or ("check" if row["reason"] == "check" else "person")
    write_labels(connection, [Label(made.id, row["record"], row["row"], made.values, made.reviewer, moment, why, made.note)])
    kept = connection.execute(select(LABELS.c.outputs).where(LABELS.c.id == made.id)).scalar_one()  # with codes in place of names
    connection.execute(insert(DECISIONS), {**made.to_dict(), "record": row["record"], "values": kept})
    return replace(made, values=json.loads(kept))


def _undoable(connection: Connection, row: RowMapping, reviewer: str, token: str | None) -> Decision:
    """The decision to take back. Raises TakenError, InputError."""
    query = select(DECISIONS).where(DECISIONS.c.review == row["id"], DECISIONS.c.id == (token or row["decision"]))
    held = connection.execute(query).mappings().first()
    if held is None and token is None:  # taken back already, or decided too late
        query = select(DECISIONS).where(DECISIONS.c.review == row["id"], DECISIONS.c.reviewer == reviewer)
        held = connection.execute(query.order_by(DECISIONS.c.at_ms.desc()).limit(1)).mappings().first()
    if held is None:
        raise InputError("There is no decision to take back", field="id", got=row["id"])
    if held["reviewer"] != reviewer:
        raise TakenError(f"{held['reviewer']} has decided this item", held["reviewer"], fix="Only who decided takes a decision back.")
    return decision_of(held)


def _take_back(connection: Connection, row: RowMapping, made: Decision, now_ms: int) -> int:
    """Mark a decision, and let count again what counted before: the newest label that nobody took back, else that nothing is known (null).
    When that was, in Unix milliseconds: after everything said of the row before."""
    of_row = and_(LABELS.c.record == row["record"], LABELS.c.row == row["row"])
    newest = select(LABELS.c.id, LABELS.c.at_ms, LABELS.c.outputs).where(of_row).order_by(LABELS.c.at_ms.desc(), LABELS.c.id.desc())
    held = connection.execute(newest).all()
    moment = max(now_ms, made.at_ms + 1, *(1 + label.at_ms for label in held[:1]))
    connection.execute(update(DECISIONS).where(DECISIONS.c.id == made.id).values(undone_ms=moment))
    undone = and_(DECISIONS.c.record == row["record"], DECISIONS.c.undone_ms.is_not(None))
    gone = {number for pair in connection.execute(select(DECISIONS.c.id, DECISIONS.c.taken_back_by).where(undone)) for number in pair}
    counts = next((label for label in held if label.id not in gone), None)
    if counts is not None and counts.id == held[0].id:
        return moment  # something newer was said since, and it stands
    known = text(dict.fromkeys(made.values)) if counts is None else counts.outputs
    connection.execute(insert(LABELS), {
        "id": (number := new_id()), "record": row["record"], "row": row["row"], "outputs": known, "author": made.reviewer,
        "at_ms": moment, "source": "person", "note": f"takes back {made.id}",
    })  # fmt: skip
    connection.execute(update(DECISIONS).where(DECISIONS.c.id == made.id).values(taken_back_by=number))
    return moment


def _row(connection: Connection, id: str) -> RowMapping:  # noqa: A002
    row = connection.execute(select(REVIEWS).where(REVIEWS.c.id == id)).mappings().first()
    if row is None:
        raise UnknownReviewError(id)
    return row
