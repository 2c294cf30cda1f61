"""Telling whoever waits: decisions leave as CloudEvents by POST, signed where there is a secret, tried again until somebody takes them.

    content-type: application/cloudevents+json
    x-portside-signature: sha256=<HMAC-SHA256 of the body>

A notice may arrive twice (its `id` says so), and one that nobody took for two days is given up, which the log and `portside review ls`
say. Redirects are not followed: whoever answers at the address is not to choose where decisions go.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import RowMapping, and_, delete, select, update

from ...sdk.core.signature import Signature
from ..deployment.review import Review
from ..records.database import Database
from .naming import named, signature_behind
from .tables import NOTICES
from .turn import reading, writing

SIGNATURE = "x-portside-signature"
TYPE = "application/cloudevents+json"
CLAIM_MS, LONGEST_MS = 30_000, 3_600_000
"""How long a notice that is being sent is nobody else's; the longest pause between tries."""
GIVE_UP_MS, KEEP_MS = 2 * 86_400_000, 7 * 86_400_000
AT_ONCE, ANSWER_S = 20, 10.0
log = logging.getLogger("portside.review")


@dataclass(frozen=True)
class Sent:
    """What became of a round: notices that were taken, and those that are to be tried again."""

    taken: int = 0
    failed: int = 0


def send_due(database: Database, settings: Mapping[str, Review], client: httpx.Client, now_ms: int) -> Sent:
    """Send what is due. `settings`: by deployment; notices of others are somebody else's to send."""
    taken = failed = 0
    for notice in _claim(database, settings, now_ms):
        section = settings[notice["deployment"]]
        fault = "" if section.webhook is None else _post(client, section, event(notice, signature_behind(database, notice["record"])))
        with writing(database) as connection:
            later = now_ms + min(LONGEST_MS, 1000 << min(notice["tries"], 12))
            outcome = {"fault": fault, "due_ms": later} if fault else {"sent_ms": now_ms, "fault": ""}
            connection.execute(update(NOTICES).where(NOTICES.c.id == notice["id"]).values(outcome))
        taken, failed = taken + (not fault), failed + bool(fault)
    return Sent(taken, failed)


def tidy(database: Database, now_ms: int) -> int:
    """Forget notices that were taken a week ago, and give up those that nobody took; how many were given up."""
    lost = and_(NOTICES.c.sent_ms.is_(None), NOTICES.c.tries > 0, NOTICES.c.due_ms < now_ms + LONGEST_MS,
                NOTICES.c.fault != "", NOTICES.c.made_ms < now_ms - GIVE_UP_MS)  # fmt: skip
    with writing(database) as connection:
        given_up = connection.execute(delete(NOTICES).where(lost)).rowcount
        connection.execute(delete(NOTICES).where(NOTICES.c.sent_ms < now_ms - KEEP_MS))
    if given_up:
        log.error("%d decisions were not told: their webhook took none for two days", given_up)
    return given_up


def event(notice: RowMapping | Mapping[str, Any], signature: Signature | None) -> bytes:
    """The body: a CloudEvent 1.0 in its JSON form, whose data is what `GET /v1/reviews/{id}` told when it was made."""
    data = json.loads(notice["data"])
    when = datetime.fromtimestamp(notice["made_ms"] / 1000, UTC).isoformat(timespec="milliseconds")
    return json.dumps({
        "specversion": "1.0", "id": notice["id"], "source": f"/portside/{notice['deployment']}", "subject": notice["review"],
        "type": f"portside.review.{notice['event']}", "time": when, "datacontenttype": "application/json",
        "data": {**data, "answer": named(data["answer"], signature)},
    }, ensure_ascii=False, separators=(",", ":")).encode()  # fmt: skip


def signed(body: bytes, secret: str) -> str:
    """The value of the header SIGNATURE."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _claim(database: Database, settings: Mapping[str, Review], now_ms: int) -> list[RowMapping]:
    """Notices that are due; nobody else sends them for a while."""
    due = and_(NOTICES.c.sent_ms.is_(None), NOTICES.c.due_ms <= now_ms, NOTICES.c.deployment.in_(list(settings)))
    with reading(database) as connection:
        if connection.execute(select(NOTICES.c.id).where(due).limit(1)).first() is None:
            return []
    with writing(database) as connection:
        rows = list(connection.execute(select(NOTICES).where(due).order_by(NOTICES.c.due_ms).limit(AT_ONCE)).mappings())
        claimed = NOTICES.c.id.in_([row["id"] for row in rows])
        connection.execute(update(NOTICES).where(claimed).values(due_ms=now_ms + CLAIM_MS, tries=NOTICES.c.tries + 1))
        return rows


def _post(client: httpx.Client, section: Review, body: bytes) -> str:
    """Send one; why it was not taken, or ""."""
    headers = {"content-type": TYPE}
    if section.webhook_secret_env is not None:
        secret = os.environ.get(section.webhook_secret_env)
        if not secret:
            return f"the environment variable {section.webhook_secret_env} is not set"
        headers[SIGNATURE] = signed(body, secret)
    try:
        reply = client.post(str(section.webhook), content=body, headers=headers, timeout=ANSWER_S, follow_redirects=False)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "" if reply.is_success else f"status {reply.status_code}"
