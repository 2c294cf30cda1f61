"""What routes of reviews tell: counts and lists, how an item stands, its files, what may be answered. They change nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from ..desk.asking import Query
from ..desk.desk import Desk
from ..desk.replies import absent, tagged
from ..desk.replies import told as reply
from ..doors.asgi import Incoming, Reply
from . import context, overview, queue
from .media import shown
from .naming import named
from .rows import part_of
from .tables import PAYLOADS
from .turn import reading


def listed(desk: Desk, incoming: Incoming) -> Reply:
    """`GET /v1/reviews`: how many stand how, and some of them."""
    query = Query(incoming.query, ("deployment", "state", "limit"))
    state = query.choice("state", ("", *overview.STATES)) or None
    names, now_ms = context.visible(desk, incoming, query.text("deployment", 63)), context.now()
    found = overview.listed(context.database(desk), now_ms, deployments=names, state=state, limit=query.number("limit", 50, 0, 500))
    items: list[dict[str, Any]] = [{**status.to_dict(), **more} for status, more in found]
    return reply({"counts": vars(overview.counts(context.database(desk), now_ms, names)), "items": items}, incoming)


def status(desk: Desk, incoming: Incoming) -> Reply:
    """`GET /v1/reviews/{id}`. One whose deadline has just passed is answered now."""
    row, now_ms = context.asked_row(desk, incoming), context.now()
    if row["state"] == "pending" and row["deadline_ms"] is not None and row["deadline_ms"] <= now_ms:
        context.expire(desk, now_ms)
    told = queue.status(context.database(desk), row["id"], now_ms)
    answer = None if told.answer is None else named(told.answer, context.signature_of(desk, told.record))
    return reply({**told.to_dict(), "answer": answer}, incoming)


def file(desk: Desk, incoming: Incoming) -> Reply:
    """`GET /v1/reviews/{id}/files/{place}`."""
    row, place = context.asked_row(desk, incoming), int(incoming.path.rsplit("/", 1)[1])
    with reading(context.database(desk)) as connection:
        held = connection.execute(select(PAYLOADS).where(PAYLOADS.c.review == row["id"], PAYLOADS.c.place == place)).mappings().first()
    if held is None:
        raise absent("There is no such field", str(place))
    content, media = shown(part_of(held))
    return tagged(content, media.encode(), incoming)


def choices(desk: Desk, incoming: Incoming) -> Reply:
    """`GET /v1/reviews/{id}/choices`: every category, where the output has categories."""
    row = context.asked_row(desk, incoming)
    signature = context.signature_of(desk, row["record"])
    spec = None if signature is None else next((spec for spec in signature.outputs if spec.name == row["output"]), None)
    names = (spec.categories if spec else None) or ()
    return reply({"choices": [{"value": code, "shown": name} for code, name in enumerate(names)]}, incoming)


def mine(desk: Desk, incoming: Incoming) -> Reply:
    """`GET /v1/reviews/mine`: who the key says the reviewer is, what they decided lately and may take back."""
    query = Query(incoming.query, ("reviewer", "limit"))
    made = overview.history(context.database(desk), incoming.who or query.text("reviewer", 64), query.number("limit", 20, 1, 200))
    return reply({"reviewer": incoming.who, "decisions": [decision.to_dict() for decision in made]}, incoming)
