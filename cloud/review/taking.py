"""What routes of reviews do: give items out and take them back, write decisions. Each is durable before it is answered."""

from __future__ import annotations

from ..desk.desk import Desk
from ..desk.replies import told as reply
from ..doors.asgi import Incoming, Reply
from . import context, deciding, overview, queue
from .said import said
from .showing import hand_out, held_one, shown

AT_ONCE = 4
"""Items that a page may be given in one answer."""
DAY_MS = 86_400_000


def lease(desk: Desk, incoming: Incoming) -> Reply:
    """`POST /v1/reviews/lease`: the next items for a window, and how much is left."""
    asked, now_ms = said(incoming, "deployment", "want", "have"), context.now()
    names = context.visible(desk, incoming, asked.text("deployment", 63))
    context.expire(desk, now_ms)
    ms = context.lease_ms(desk, *names)
    want, have = asked.number("want", 1, AT_ONCE), asked.ids("have")
    found = hand_out(context.database(desk), asked.reviewer, now_ms, names, ms, asked.seat, want, have)
    items = [shown(one, context.settings(desk, one.row["deployment"]), context.signature_of(desk, one.row["record"])) for one in found]
    today = overview.decided_since(context.database(desk), asked.reviewer, now_ms - now_ms % DAY_MS)
    return reply({"items": items, "now_ms": now_ms, "lease_ms": ms, "counts": vars(overview.counts(context.database(desk), now_ms, names)),
                  "today": today, "reviewer": asked.reviewer, "deployments": context.visible(desk, incoming, "")})  # fmt: skip


def renew(desk: Desk, incoming: Incoming) -> Reply:
    """`POST /v1/reviews/renew`: hold on to items; those that are still held."""
    asked = said(incoming, "ids")
    ms = context.lease_ms(desk, *desk.names)
    return reply({"held": queue.renew(context.database(desk), asked.ids("ids"), asked.reviewer, context.now(), ms=ms, seat=asked.seat)})


def release(desk: Desk, incoming: Incoming) -> Reply:
    """`POST /v1/reviews/release`: give items back."""
    asked = said(incoming, "ids")
    return reply({"released": queue.release(context.database(desk), asked.ids("ids"), asked.reviewer, seat=asked.seat)})


def decide(desk: Desk, incoming: Incoming) -> Reply:
    """`POST /v1/reviews/{id}/decide`: the decision, once by its token however often sent."""
    asked, row = said(incoming, "values", "token", "note", "took_ms"), context.asked_row(desk, incoming)
    took = asked.number("took_ms", 0, DAY_MS) if "took_ms" in asked.data else None
    tell_in_ms = int(context.settings(desk, row["deployment"]).undo_s * 1000)
    made = deciding.decide(context.database(desk), row["id"], asked.reviewer, asked.values(), context.now(), token=asked.token(),
                           note=asked.text("note", 2000), took_ms=took, tell_in_ms=tell_in_ms)  # fmt: skip
    return reply(made.to_dict())


def undo(desk: Desk, incoming: Incoming) -> Reply:
    """`POST /v1/reviews/{id}/undo`: the decision that was taken back, and the item as it is shown again."""
    asked, row = said(incoming, "token"), context.asked_row(desk, incoming)
    ms = context.lease_ms(desk, row["deployment"])
    made = deciding.undo(context.database(desk), row["id"], asked.reviewer, context.now(), token=asked.token(), seat=asked.seat, ms=ms)
    one = held_one(context.database(desk), row["id"], asked.reviewer)
    item = None if one is None else shown(one, context.settings(desk, row["deployment"]), context.signature_of(desk, row["record"]))
    return reply({"decision": made.to_dict(), "item": item})


def skip(desk: Desk, incoming: Incoming) -> Reply:
    """`POST /v1/reviews/{id}/skip`: leave it to others."""
    asked, row = said(incoming), context.asked_row(desk, incoming)
    queue.skip(context.database(desk), row["id"], asked.reviewer, context.now())
    return reply({"skipped": row["id"]})
