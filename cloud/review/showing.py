"""What the page is told of an item: its fields without their files, the answers to pick from, and what may not be shown left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, select

from ...sdk.core.signature import Signature, TensorSpec
from ..deployment.review import Review
from ..records.database import Database
from .payload import NPY, TENSOR_LIMIT
from .queue import held, take
from .tables import PAYLOADS, REVIEWS, SKIPS
from .turn import reading, writing

FEW = 64
"""Numbers of a list that a page is told; more are counted."""
REASONS = {
    "low-confidence": "the model was not sure", "check": "drawn at random", "level": "people decide here",
    "no-threshold": "people decide until a threshold is fitted", "not-champion": "a backup answered",
}  # fmt: skip


class Given(NamedTuple):
    """An item that a reviewer holds: its row, its fields without their files, and whether this reviewer skipped it before."""

    row: RowMapping
    fields: Sequence[RowMapping]
    skipped: bool


def hand_out(database: Database, reviewer: str, now_ms: int, deployments: Sequence[str], ms: int, seat: str, want: int,
             have: Sequence[str]) -> list[Given]:  # fmt: skip
    """Items for a page, in one transaction: what its window holds already, then fresh ones, until there are `want`.

    Args:
        have: what the page shows or has ready; not given again.
    """
    with writing(database) as connection:
        mine = held(connection, reviewer, now_ms, seat)
        rows = [row for row in mine if row["id"] not in have and row["deployment"] in deployments][:want]
        while len(rows) < want and (row := take(connection, reviewer, now_ms, deployments, ms, seat)) is not None:
            rows.append(row)
        return [_given(connection, row, reviewer) for row in rows]


def held_one(database: Database, review: str, reviewer: str) -> Given | None:
    """The item, where this reviewer holds it."""
    mine = (REVIEWS.c.id == review, REVIEWS.c.state == "pending", REVIEWS.c.leased_by == reviewer)
    with reading(database) as connection:
        row = connection.execute(select(REVIEWS).where(*mine)).mappings().first()
        return None if row is None else _given(connection, row, reviewer)


def fields(connection: Connection, review: str) -> list[RowMapping]:
    """Fields in their order, without their files."""
    columns = [PAYLOADS.c[name] for name in ("field", "place", "kind", "value", "media", "digest")]
    query = select(*columns).where(PAYLOADS.c.review == review).order_by(PAYLOADS.c.place)
    return list(connection.execute(query).mappings())


def shown(given: Given, settings: Review, signature: Signature | None) -> dict[str, Any]:
    """The item as the page takes it."""
    row, parts = given.row, given.fields
    blind = hidden(row["reason"], settings)
    candidates = json.loads(row["candidates"])[: settings.candidates]
    return {
        "id": row["id"], "record": row["record"], "row": row["row"], "deployment": row["deployment"], "output": row["output"],
        "question": settings.question or f"What is {row['output'].replace('_', ' ')}?", "blind": blind,
        "reason": "" if blind else REASONS.get(row["reason"], row["reason"]), "candidates": unled(candidates) if blind else candidates,
        "answer": answer_of(row["output"], signature, candidates), "fields": [_field(part, signature) for part in parts],
        "created_ms": row["created_ms"], "deadline_ms": row["deadline_ms"], "skipped": given.skipped,
    }  # fmt: skip


def hidden(reason: str, settings: Review) -> bool:
    """Whether the model's answer is hidden from whoever decides an item that is asked about for this reason, wherever they do."""
    return settings.blind == "always" or (settings.blind == "checks" and reason == "check")


def unled(candidates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Candidates that do not tell what the model thinks: in the order of their values, without probabilities; one alone would tell it."""
    if len(candidates) < 2:
        return []
    ordered = sorted(candidates, key=lambda one: (not isinstance(one["value"], int | float), str(one["value"]).zfill(12), one["shown"]))
    return [{**candidate, "probability": None} for candidate in ordered]


def answer_of(output: str, signature: Signature | None, candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What else than a candidate may be answered: {"kind": "category" | "number" | "text" | "any", ...}."""
    spec = None if signature is None else next((spec for spec in signature.outputs if spec.name == output), None)
    if spec is not None:
        return _answer(spec)
    values = [candidate["value"] for candidate in candidates]
    kind = "number" if values and all(isinstance(value, int | float) for value in values) else "text" if values else "any"
    return {"kind": kind, "whole": all(isinstance(value, int) for value in values)}


def _answer(spec: TensorSpec) -> dict[str, Any]:
    if spec.categories is not None:
        return {"kind": "category", "count": len(spec.categories)}
    if len(spec.shape) > (0 if spec.batch_axis is None else 1):
        return {"kind": "any"}
    kind = "text" if spec.dtype == "string" else "number"
    return {"kind": kind, "whole": not spec.dtype.startswith("f"), "unit": spec.unit, "range": spec.range}


def _field(part: RowMapping, signature: Signature | None) -> dict[str, Any]:
    spec = None if signature is None else next((spec for spec in signature.inputs if spec.name == part["field"]), None)
    value, kind = json.loads(part["value"]), part["kind"]
    told: dict[str, Any] = {"name": part["field"], "place": part["place"], "kind": kind, "unit": spec.unit if spec else None}
    if part["media"] is not None:
        file = kind in ("image", "audio") or part["media"] != NPY
        return {**told, **value, "file": part["digest"].removeprefix("sha256:") if file else None}
    return {**told, "value": _few(value) if kind == "tensor" else value}


def _few(value: Any) -> Any:
    """A list of few numbers as it is; of a longer one its beginning, with how much there is."""
    if isinstance(value, list) and len(value) > FEW:
        return {"first": value[:FEW], "of": len(value)}
    return value if _grid(value) or len(json.dumps(value)) <= TENSOR_LIMIT else {"first": [], "of": len(value)}


def _grid(value: Any) -> bool:
    """Rows of numbers: the page draws them as a picture, however long they are when written."""
    return isinstance(value, list) and all(isinstance(row, list) and all(isinstance(one, int | float) for one in row) for row in value)


def _given(connection: Connection, row: RowMapping, reviewer: str) -> Given:
    skips = select(SKIPS.c.at_ms).where(SKIPS.c.review == row["id"], SKIPS.c.reviewer == reviewer)
    return Given(row, fields(connection, row["id"]), connection.execute(skips).first() is not None)
