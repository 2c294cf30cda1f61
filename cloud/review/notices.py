"""The outbox of webhooks: what callers are to be told, written in the transaction that decides, sent afterwards (webhooks.py).

So a decision that was acknowledged is told, whatever is killed in between; a receiver may see one twice and knows it by `id`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from sqlalchemy import Connection, and_, delete, insert

from ...sdk.core.records import new_id
from .item import ReviewStatus
from .rows import text
from .tables import NOTICES

Event: TypeAlias = Literal["decided", "expired", "undone"]


def notify(connection: Connection, event: Event, status: ReviewStatus, now_ms: int, wait_ms: int = 0) -> None:
    """Tell whoever waits for this item, `wait_ms` from now."""
    connection.execute(insert(NOTICES), {
        "id": new_id(), "review": status.id, "record": status.record, "event": event, "deployment": status.deployment,
        "data": text(status.to_dict()), "made_ms": now_ms, "due_ms": now_ms + wait_ms,
        "tries": 0, "fault": "",
    })  # fmt: skip


def recall(connection: Connection, review: str) -> bool:
    """Forget a decision that nobody was told yet; False: somebody was told, or may have been."""
    untold = and_(NOTICES.c.review == review, NOTICES.c.event == "decided", NOTICES.c.sent_ms.is_(None), NOTICES.c.tries == 0)
    return connection.execute(delete(NOTICES).where(untold)).rowcount > 0
