"""The queue of what waits for a person: given out under a lease, given back when the lease ends.

- Two reviewers never hold the same item: leases are given inside the one writing transaction that a database has at a time.
- What was acknowledged is on the disk (see `Database.write`), so neither an item nor a decision is lost by a kill or a power cut.
- Every call may be repeated: an item is there once by its id, a decision once by its token, an undo once by the decision it takes back.
- A lease that ended returns the item; whoever held it may still decide as long as nobody else has taken it.

Times are Unix milliseconds and come from the caller, so that tests and replays have a clock of their own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, insert, or_, select, update

from ..records.database import Database
from .deciding import decide as decide
from .deciding import undo as undo
from .item import Candidate as Candidate
from .item import Decision as Decision
from .item import Item, ReviewStatus
from .notices import notify
from .refusals import TakenError, UnknownReviewError
from .rows import item_of, payload_of, payload_rows, review_row, status_of, text
from .tables import PAYLOADS, REVIEWS, SKIPS, TABLES
from .turn import reading, writing

LEASE_MS = 60_000
URGENT_MS = 120_000
"""Items whose deadline is nearer than this are given out first, whatever their priority."""
SOME = 500
"""Values in one IN (...)."""
_BEFORE = (REVIEWS.c.priority.desc(), REVIEWS.c.created_ms, REVIEWS.c.id)
_FREE = {"leased_by": None, "seat": None, "leased_until_ms": None}


def prepare(database: Database) -> None:
    """Make the tables that are missing. Raises FormatError."""
    database.prepare(*TABLES)


def enqueue(database: Database, items: Sequence[Item]) -> None:
    """Let items wait for a person; one that is known by its id changes nothing. Durable when it returns.

    Raises InputError for a payload that cannot be shown: none of the items is kept then.
    """
    rows = [(review_row(item), payload_rows(item)) for item in items]
    with writing(database) as connection:
        known = _known(connection, [item.id for item in items])
        fresh = {row["id"]: (row, payload) for row, payload in rows if row["id"] not in known}
        if not fresh:
            return
        connection.execute(insert(REVIEWS), [row for row, _ in fresh.values()])
        if payloads := [part for _, payload in fresh.values() for part in payload]:
            connection.execute(insert(PAYLOADS), payloads)


def lease(database: Database, reviewer: str, now_ms: int, *, deployment: str | Sequence[str] | None = None, ms: int = LEASE_MS,
          seat: str = "") -> Item | None:  # fmt: skip
    """Take the most pressing item that nobody holds; None: there is none.

    Args:
        deployment: only of this one, or of these.
        ms: how long nobody else gets it.
        seat: which of the reviewer's windows takes it; another window of the same reviewer gets another item.
    """
    with writing(database) as connection:
        row = take(connection, reviewer, now_ms, deployment, ms, seat)
        return None if row is None else item_of(row, payload_of(connection, row["id"]))


def take(connection: Connection, reviewer: str, now_ms: int, deployment: str | Sequence[str] | None, ms: int = LEASE_MS,
         seat: str = "") -> RowMapping | None:  # fmt: skip
    """The same within a transaction of the caller's; the row of the item."""
    row = _next(connection, reviewer, now_ms, [deployment] if isinstance(deployment, str) else deployment)
    if row is not None:
        held = {"leased_by": reviewer, "seat": seat, "leased_until_ms": now_ms + ms}
        connection.execute(update(REVIEWS).where(REVIEWS.c.id == row["id"]).values(held))
    return row


def held(connection: Connection, reviewer: str, now_ms: int, seat: str = "") -> Sequence[RowMapping]:
    """Rows of what this window of the reviewer holds: a page that was loaded again goes on where it was. The first taken is the first."""
    mine = and_(_mine(reviewer, seat), REVIEWS.c.leased_until_ms > now_ms)
    return connection.execute(select(REVIEWS).where(mine).order_by(REVIEWS.c.leased_until_ms, *_BEFORE)).mappings().all()


def renew(database: Database, ids: Sequence[str], reviewer: str, now_ms: int, *, ms: int = LEASE_MS, seat: str = "") -> list[str]:
    """Hold on to items; those that are still held. One whose lease ended is held again unless somebody else took it meanwhile."""
    mine = and_(_mine(reviewer, seat), REVIEWS.c.id.in_(ids[:SOME]))
    with writing(database) as connection:
        still = list(connection.execute(select(REVIEWS.c.id).where(mine)).scalars())
        connection.execute(update(REVIEWS).where(REVIEWS.c.id.in_(still)).values(leased_until_ms=now_ms + ms))
    return still


def release(database: Database, ids: Sequence[str], reviewer: str, *, seat: str = "") -> list[str]:
    """Give items back undecided; those that were held."""
    mine = and_(_mine(reviewer, seat), REVIEWS.c.id.in_(ids[:SOME]))
    with writing(database) as connection:
        given = list(connection.execute(select(REVIEWS.c.id).where(mine)).scalars())
        connection.execute(update(REVIEWS).where(REVIEWS.c.id.in_(given)).values(_FREE))
    return given


def skip(database: Database, id: str, reviewer: str, now_ms: int) -> None:  # noqa: A002
    """Leave an item to others: this reviewer gets it again only when nothing else is left.

    Raises UnknownReviewError; TakenError where somebody else holds it or it is decided.
    """
    with writing(database) as connection:
        row = found(connection, id)
        if row["state"] != "pending":
            raise TakenError(f"This item is {row['state']}", row["answered_by"] or "")
        if row["leased_by"] not in (None, reviewer) and row["leased_until_ms"] > now_ms:
            raise TakenError(f"{row['leased_by']} holds this item", row["leased_by"])
        connection.execute(update(REVIEWS).where(REVIEWS.c.id == id).values(_FREE))
        mine = and_(SKIPS.c.review == id, SKIPS.c.reviewer == reviewer)
        if connection.execute(update(SKIPS).where(mine).values(at_ms=now_ms)).rowcount == 0:
            connection.execute(insert(SKIPS), {"review": id, "reviewer": reviewer, "at_ms": now_ms, "record": row["record"]})


def expire(database: Database, now_ms: int, answers: Mapping[str, Mapping[str, Any] | str | None] | None = None) -> list[Item]:
    """Answer in a person's stead where the deadline has passed; the items, which leave the queue.

    Args:
        answers: deployment -> "model" (its own answer), the values to answer with, or None: there is no answer. Items of other
            deployments are left to whoever knows what those say. Without it every deployment answers as its model.
    """
    passed = and_(REVIEWS.c.state == "pending", REVIEWS.c.deadline_ms <= now_ms)
    if answers is not None:
        passed = and_(passed, REVIEWS.c.deployment.in_(list(answers)))
    with reading(database) as connection:
        if connection.execute(select(REVIEWS.c.id).where(passed).limit(1)).first() is None:
            return []
    with writing(database) as connection:
        rows = connection.execute(select(REVIEWS).where(passed).order_by(REVIEWS.c.deadline_ms).limit(SOME)).mappings().all()
        items = [item_of(row, payload_of(connection, row["id"])) for row in rows]
        for item in items:
            answer, by = _instead(item, (answers or {}).get(item.deployment, "model"))
            said = {"state": "expired", "answer": None if answer is None else text(answer), "answered_by": by, "answered_ms": now_ms}
            connection.execute(update(REVIEWS).where(REVIEWS.c.id == item.id).values(said))
            notify(connection, "expired", status_of(found(connection, item.id), now_ms), now_ms)
    return items


def withdraw(database: Database, ids: Sequence[str], now_ms: int) -> list[str]:
    """Take back items that nobody has decided: the caller left, or the truth came from elsewhere. Those that were waiting."""
    waiting = and_(REVIEWS.c.id.in_(ids[:SOME]), REVIEWS.c.state == "pending")
    with writing(database) as connection:
        taken = list(connection.execute(select(REVIEWS.c.id).where(waiting)).scalars())
        connection.execute(update(REVIEWS).where(REVIEWS.c.id.in_(taken)).values(state="withdrawn", answered_ms=now_ms, **_FREE))
    return taken


def status(database: Database, id: str, now_ms: int | None = None) -> ReviewStatus:  # noqa: A002
    """How an item stands, with the answer where there is one. Raises UnknownReviewError."""
    moment = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    with reading(database) as connection:
        return status_of(found(connection, id), moment)


def found(connection: Connection, id: str) -> RowMapping:  # noqa: A002
    """The row of an item. Raises UnknownReviewError."""
    row = connection.execute(select(REVIEWS).where(REVIEWS.c.id == id)).mappings().first()
    if row is None:
        raise UnknownReviewError(id)
    return row


def _known(connection: Connection, ids: list[str]) -> set[str]:
    known = set[str]()
    for start in range(0, len(ids), SOME):
        known.update(connection.execute(select(REVIEWS.c.id).where(REVIEWS.c.id.in_(ids[start : start + SOME]))).scalars())
    return known


def _next(connection: Connection, reviewer: str, now_ms: int, deployments: Sequence[str] | None) -> RowMapping | None:
    """The item to give out: a deadline that is near, else the highest priority, else one that this reviewer skipped before."""
    free = _free(now_ms, deployments)
    skipped = and_(SKIPS.c.review == REVIEWS.c.id, SKIPS.c.reviewer == reviewer)
    fresh = and_(free, ~exists().where(skipped))
    urgent = select(REVIEWS).where(fresh, REVIEWS.c.deadline_ms <= now_ms + URGENT_MS).order_by(REVIEWS.c.deadline_ms, *_BEFORE)
    pressing = select(REVIEWS).where(fresh).order_by(*_BEFORE)
    again = select(REVIEWS).join(SKIPS, skipped).where(free).order_by(SKIPS.c.at_ms, *_BEFORE)
    for query in (urgent, pressing, again):
        if (row := connection.execute(query.limit(1)).mappings().first()) is not None:
            return row
    return None


def _free(now_ms: int, deployments: Sequence[str] | None) -> ColumnElement[bool]:
    unheld = or_(REVIEWS.c.leased_until_ms.is_(None), REVIEWS.c.leased_until_ms <= now_ms)
    in_time = or_(REVIEWS.c.deadline_ms.is_(None), REVIEWS.c.deadline_ms > now_ms)
    free = and_(REVIEWS.c.state == "pending", unheld, in_time)
    return free if deployments is None else and_(free, REVIEWS.c.deployment.in_(deployments))


def _mine(reviewer: str, seat: str) -> ColumnElement[bool]:
    return and_(REVIEWS.c.state == "pending", REVIEWS.c.leased_by == reviewer, REVIEWS.c.seat == seat)


def _instead(item: Item, says: Mapping[str, Any] | str | None) -> tuple[Mapping[str, Any] | None, str | None]:
    """(answer, who gave it) where nobody came in time."""
    if isinstance(says, Mapping):
        return says, "default"
    if says == "model" and item.model is not None:
        return {item.output: item.model}, "model"
    return None, None
