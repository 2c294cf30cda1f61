"""What other parts know of a record: its reviews."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import inspect, select

from ..records.database import Database
from ..review.rows import status_of
from ..review.tables import REVIEWS


def reviews_of(database: Database, record: str) -> list[dict[str, Any]]:
    """How the reviews of a record stand, by row. Raises SQLAlchemyError."""
    if not inspect(database.engine).has_table(REVIEWS.name):
        return []
    now_ms = time.time_ns() // 1_000_000
    with database.read() as connection:
        rows = connection.execute(select(REVIEWS).where(REVIEWS.c.record == record).order_by(REVIEWS.c.row)).mappings().all()
    more = ("reason", "output", "priority")
    return [{**status_of(row, now_ms).to_dict(), **{name: row[name] for name in more}} for row in rows]
