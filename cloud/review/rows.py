"""Between items and the rows of their tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, select

from .item import Candidate, Decision, Item, ReviewStatus, State
from .payload import Part, parts, value_of
from .tables import DECISIONS, PAYLOADS


def review_row(item: Item) -> dict[str, Any]:
    """The item as a row of REVIEWS."""
    held = {name: value for name, value in vars(item).items() if name != "payload"}
    candidates = text([candidate.to_dict() for candidate in item.candidates])
    return {**held, "candidates": candidates, "model": text(item.model), "state": "pending"}


def payload_rows(item: Item) -> list[dict[str, Any]]:
    """What there is to look at as rows of PAYLOADS. Raises InputError."""
    return [
        {"review": item.id, "record": item.record, "field": part.field, "place": place, "kind": part.kind, "value": text(part.value),
         "media": part.media, "data": part.data, "digest": part.digest}
        for place, part in enumerate(parts(item.payload))
    ]  # fmt: skip


def item_of(row: RowMapping, payload: Sequence[Part]) -> Item:
    """The item of a row of REVIEWS."""
    names = [item.name for item in fields(Item) if item.name not in ("candidates", "payload", "model")]
    candidates = tuple(Candidate(**candidate) for candidate in json.loads(row["candidates"]))
    return Item(**{name: row[name] for name in names}, candidates=candidates, model=json.loads(row["model"]),
                payload={part.field: value_of(part) for part in payload})  # fmt: skip


def payload_of(connection: Connection, review: str) -> list[Part]:
    """The parts of an item, in order."""
    found = connection.execute(select(PAYLOADS).where(PAYLOADS.c.review == review).order_by(PAYLOADS.c.place)).mappings()
    return [part_of(row) for row in found]


def part_of(row: RowMapping) -> Part:
    """One part of a row of PAYLOADS."""
    value = None if row["value"] is None else json.loads(row["value"])
    return Part(row["field"], row["kind"], value, row["media"], row["data"], row["digest"])


def decision_of(row: RowMapping) -> Decision:
    """The decision of a row of DECISIONS."""
    return Decision(row["id"], row["review"], row["reviewer"], json.loads(row["values"]), row["at_ms"], bool(row["late"]), row["undone_ms"],
                    row["note"], row["took_ms"])  # fmt: skip


def decision(connection: Connection, number: str | None) -> Decision | None:
    """The decision with this id."""
    row = connection.execute(select(DECISIONS).where(DECISIONS.c.id == number)).mappings().first()
    return None if row is None else decision_of(row)


def state_of(row: RowMapping, now_ms: int) -> State:
    """How the item of a row of REVIEWS stands at this moment."""
    return "leased" if row["state"] == "pending" and (row["leased_until_ms"] or 0) > now_ms else cast("State", row["state"])


def status_of(row: RowMapping, now_ms: int) -> ReviewStatus:
    """What `GET /v1/reviews/{id}` says of a row of REVIEWS."""
    answer = None if row["answer"] is None else json.loads(row["answer"])
    return ReviewStatus(row["id"], state_of(row, now_ms), row["record"], row["row"], row["deployment"], row["created_ms"],
                        row["deadline_ms"], answer, row["answered_by"], row["answered_ms"])  # fmt: skip


def text(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
