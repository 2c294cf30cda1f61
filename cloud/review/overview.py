"""What stands in the queue and what was decided: counts, lists, how long people took. Read only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, select, true

from ..records.database import Database
from .item import Decision, ReviewStatus
from .rows import decision_of, status_of
from .tables import DECISIONS, REVIEWS
from .turn import reading

STATES = ("pending", "leased", "decided", "expired", "withdrawn")


@dataclass(frozen=True)
class Counts:
    """Items by how they stand; `oldest_ms`: when the oldest one that waits came, Unix milliseconds."""

    pending: int = 0
    leased: int = 0
    decided: int = 0
    expired: int = 0
    withdrawn: int = 0
    oldest_ms: int | None = None

    @property
    def waiting(self) -> int:
        """Not decided, whoever looks at them."""
        return self.pending + self.leased


def counts(database: Database, now_ms: int, deployments: Sequence[str] | None = None) -> Counts:
    """Items by state, of these deployments."""
    of = _of(deployments)
    running = and_(REVIEWS.c.state == "pending", REVIEWS.c.leased_until_ms > now_ms)
    with reading(database) as connection:
        query = select(REVIEWS.c.state, func.count(), func.min(REVIEWS.c.created_ms)).where(of).group_by(REVIEWS.c.state)
        found = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
        leased = connection.execute(select(func.count()).select_from(REVIEWS).where(of, running)).scalar_one()
    number = {state: count for state, (count, _) in found.items()}
    pending, oldest = found.get("pending", (0, None))
    return Counts(**{**number, "pending": pending - leased, "leased": leased}, oldest_ms=oldest)


def listed(database: Database, now_ms: int, *, deployments: Sequence[str] | None = None, state: str | None = None,
           limit: int = 50) -> list[tuple[ReviewStatus, dict[str, Any]]]:  # fmt: skip
    """(how it stands, what else is known) of items: those that wait as they would be given out, others the newest first."""
    query = select(REVIEWS).where(_of(deployments), _in_state(state, now_ms))
    order = (REVIEWS.c.priority.desc(), REVIEWS.c.created_ms) if state in ("pending", "leased") else (REVIEWS.c.created_ms.desc(),)
    names = ("priority", "reason", "selection", "output", "leased_by", "leased_until_ms", "entity", "package")
    with reading(database) as connection:
        rows = connection.execute(query.order_by(*order, REVIEWS.c.id).limit(limit)).mappings().all()
    return [(status_of(row, now_ms), {name: row[name] for name in names}) for row in rows]


def history(database: Database, reviewer: str, limit: int = 20) -> list[Decision]:
    """What a reviewer decided and did not take back, the newest first."""
    query = select(DECISIONS).where(DECISIONS.c.reviewer == reviewer, DECISIONS.c.undone_ms.is_(None))
    with reading(database) as connection:
        return [decision_of(row) for row in connection.execute(query.order_by(DECISIONS.c.at_ms.desc()).limit(limit)).mappings()]


def decided_since(database: Database, reviewer: str, since_ms: int) -> int:
    """How much a reviewer decided from this moment on."""
    mine = and_(DECISIONS.c.reviewer == reviewer, DECISIONS.c.undone_ms.is_(None), DECISIONS.c.at_ms >= since_ms)
    with reading(database) as connection:
        return connection.execute(select(func.count()).select_from(DECISIONS).where(mine)).scalar_one()


def times_ms(database: Database, limit: int = 1000) -> list[int]:
    """How long people took for their latest decisions, in milliseconds, where their pages said so."""
    query = select(DECISIONS.c.took_ms).where(DECISIONS.c.took_ms.is_not(None), DECISIONS.c.undone_ms.is_(None))
    with reading(database) as connection:
        return list(connection.execute(query.order_by(DECISIONS.c.at_ms.desc()).limit(limit)).scalars())


def _of(deployments: Sequence[str] | None) -> ColumnElement[bool]:
    return true() if deployments is None else REVIEWS.c.deployment.in_(deployments) if deployments else false()


def _in_state(state: str | None, now_ms: int) -> ColumnElement[bool]:
    if state is None:
        return true()
    runs = and_(REVIEWS.c.leased_until_ms.is_not(None), REVIEWS.c.leased_until_ms > now_ms)
    if state == "leased":
        return and_(REVIEWS.c.state == "pending", runs)
    return and_(REVIEWS.c.state == "pending", ~runs) if state == "pending" else REVIEWS.c.state == state
