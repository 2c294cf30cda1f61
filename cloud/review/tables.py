"""The tables of the review queue, in the database of records.

`reviews` holds how each item stands, `review_payloads` what there is to look at, `review_decisions` every decision ever
acknowledged (one that was undone keeps its line), `review_skips` who would rather not. `review_notices` is the outbox of webhooks.
All of them name the record, so that they go when it is deleted (see ../records/tables.py).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, Table, Text

from ..records.tables import METADATA

REVIEWS = Table(
    "reviews", METADATA,
    Column("id", Text, primary_key=True), Column("record", Text, nullable=False), Column("row", Integer, nullable=False),
    Column("deployment", Text, nullable=False), Column("priority", Double, nullable=False), Column("reason", Text, nullable=False),
    Column("selection", Double, nullable=False), Column("output", Text, nullable=False), Column("candidates", Text, nullable=False),
    Column("deadline_ms", BigInteger), Column("created_ms", BigInteger, nullable=False), Column("entity", Text),
    Column("package", Text, nullable=False), Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending | decided | expired | withdrawn; leased is pending with a lease that runs
    Column("leased_by", Text), Column("seat", Text), Column("leased_until_ms", BigInteger),
    Column("decision", Text), Column("answer", Text), Column("answered_by", Text), Column("answered_ms", BigInteger),
    Index("reviews_by_deadline", "state", "deadline_ms"),
    Index("reviews_by_record", "record"), Index("reviews_by_reviewer", "leased_by", "state"),
)  # fmt: skip
Index("reviews_by_priority", REVIEWS.c.state, REVIEWS.c.priority.desc(), REVIEWS.c.created_ms, REVIEWS.c.id)
PAYLOADS = Table(
    "review_payloads", METADATA,
    Column("review", Text, primary_key=True), Column("field", Text, primary_key=True), Column("place", Integer, nullable=False),
    Column("kind", Text, nullable=False), Column("value", Text), Column("media", Text), Column("data", LargeBinary),
    Column("digest", Text, nullable=False), Column("record", Text, nullable=False, index=True),
)  # fmt: skip
DECISIONS = Table(
    "review_decisions", METADATA,
    Column("id", Text, primary_key=True), Column("review", Text, nullable=False), Column("reviewer", Text, nullable=False),
    Column("values", Text, nullable=False), Column("at_ms", BigInteger, nullable=False), Column("late", Boolean, nullable=False),
    Column("undone_ms", BigInteger), Column("note", Text, nullable=False), Column("took_ms", BigInteger),
    Column("taken_back_by", Text), Column("record", Text, nullable=False, index=True),
    Index("review_decisions_by_review", "review"), Index("review_decisions_by_reviewer", "reviewer", "at_ms"),
)  # fmt: skip
SKIPS = Table(
    "review_skips", METADATA,
    Column("review", Text, primary_key=True), Column("reviewer", Text, primary_key=True), Column("at_ms", BigInteger, nullable=False),
    Column("record", Text, nullable=False, index=True),
)  # fmt: skip
NOTICES = Table(
    "review_notices", METADATA,
    Column("id", Text, primary_key=True), Column("review", Text, nullable=False), Column("event", Text, nullable=False),
    Column("deployment", Text, nullable=False), Column("data", Text, nullable=False), Column("made_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False), Column("sent_ms", BigInteger), Column("fault", Text, nullable=False),
    Column("record", Text, nullable=False, index=True),
    Index("review_notices_by_due", "sent_ms", "due_ms"), Index("review_notices_by_review", "review"),
)  # fmt: skip
TABLES = (REVIEWS, PAYLOADS, DECISIONS, SKIPS, NOTICES)
