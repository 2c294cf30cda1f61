"""The tables of rollouts, beside the records they are decided by.

- `rollouts`: one row per rollout: what was asked, where it is, and the end of its log. Of a deployment one at most has not ended.
- `rollout_log`: what happened to it, with the figures of that moment. Rows are appended: the database refuses to change or to remove one,
  and each names the digest of the one before, so that whoever went round the database is found out (log.py).
- `rollout_counts`: outcomes that were observed, as counts: order-free, so that they can be added to and read at any moment.
- `rollout_seen`: whose outcome was counted already, as keyed digests of entities; they are deleted when nothing is counted any more.
- `rollout_points`: every so often what each sequence said, for plots; nothing is decided by them.
"""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, Index, Table, Text, event

from ..monitoring.tables import CURSORS, LEASES
from ..records.database import Database
from ..records.tables import METADATA, sequence


def _text(name: str, key: bool = False) -> Column[str]:
    return Column(name, Text(), primary_key=key, nullable=False)


def _whole(name: str, key: bool = False) -> Column[int]:
    return Column(name, BigInteger(), primary_key=key, nullable=False, autoincrement=False)


ROLLOUTS = Table(
    "rollouts", METADATA, _text("id", True), _whole("number"), _text("deployment"), _text("phase"), _whole("serial"), _whole("began_ms"),
    _whole("phase_ms"), _whole("ended_ms"), _whole("seen_ms"), _whole("clock_ms"), _whole("entries"), _text("head"), _text("about"),
    _text("policy"), _text("state"), _text("latest"),
)  # fmt: skip
"""`number`: of the deployment, from 1. `serial`: larger with every change of what workers do. `ended_ms`: 0 while it goes on. `seen_ms`:
when the controller last looked; `clock_ms`: its own clock, which counts the time in which it looked. `entries`, `head`: how many rows its
log has, and the digest of the last one. The rest is JSON; `latest`: the newest decision."""
LOG = Table(
    "rollout_log", METADATA, sequence(), _text("rollout"), _whole("number"), _whole("at_ms"), _text("kind"), _text("author"),
    _text("before"), _text("after"), _text("why"), _text("evidence"), _text("previous"), _text("digest"), sqlite_autoincrement=True,
)  # fmt: skip
COUNTS = Table(
    "rollout_counts", METADATA, _text("rollout", True), _text("stage", True), _whole("step", True), _text("challenger", True),
    _text("measure", True), _text("slice", True), _whole("rows"), _whole("bad"), _whole("champion_rows"), _whole("champion_bad"),
    _whole("both"),
)  # fmt: skip
SEEN = Table("rollout_seen", METADATA, _text("unit", True), _text("rollout"), sqlite_with_rowid=False)
"""There may be millions: one short row for whatever one answer says of an entity."""
POINTS = Table(
    "rollout_points", METADATA, sequence(), _text("rollout"), _whole("at_ms"), _text("data"), sqlite_autoincrement=True,
)  # fmt: skip
Index("rollouts_by_deployment", ROLLOUTS.c.deployment, ROLLOUTS.c.number, unique=True)
Index("rollout_log_by_number", LOG.c.rollout, LOG.c.number, unique=True)
Index("rollout_points_by_rollout", POINTS.c.rollout, POINTS.c.seq)
OWN = (ROLLOUTS, LOG, COUNTS, SEEN, POINTS)

REFUSE = "the log of rollouts is appended to, and never changed"
for _word in ("update", "delete"):
    event.listen(LOG, "after_create", DDL(
        f"CREATE TRIGGER rollout_log_no_{_word} BEFORE {_word.upper()} ON rollout_log BEGIN SELECT RAISE(ABORT, '{REFUSE}'); END"
    ).execute_if(dialect="sqlite"))  # fmt: skip
event.listen(LOG, "after_create", DDL(
    f"CREATE OR REPLACE FUNCTION rollout_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{REFUSE}'; END $$"
).execute_if(dialect="postgresql"))  # fmt: skip
event.listen(LOG, "after_create", DDL(
    "CREATE TRIGGER rollout_log_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON rollout_log EXECUTE FUNCTION rollout_log_refuse()"
).execute_if(dialect="postgresql"))  # fmt: skip


def prepare(database: Database) -> None:
    """Make the tables where they are not there. Raises SQLAlchemyError."""
    database.prepare(*OWN, CURSORS, LEASES)
