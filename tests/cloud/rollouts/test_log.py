"""The log: appended to alone, chained, verified."""

from __future__ import annotations

import pytest
from rolled import MINUTE, QUICK, START, Rig, rolled
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from portside.cloud.records.database import Database
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.log import Said, append, read_log, verify_log
from portside.cloud.rollouts.tables import LOG, REFUSE, ROLLOUTS
from portside.sdk.core.errors import IntegrityError

POLICY = Policy(("sha256:c1",), **QUICK)


def unlocked(database: Database) -> None:
    """As somebody would who may do everything in the database."""
    with database.write() as connection:
        for name in ("rollout_log_no_update", "rollout_log_no_delete") if database.kind == "sqlite" else ("rollout_log_kept",):
            connection.execute(text(f"DROP TRIGGER {name}" + ("" if database.kind == "sqlite" else " ON rollout_log")))


def logged(database: Database) -> None:
    rolled(database, POLICY)
    with database.write() as connection:
        append(connection, "r1", START + MINUTE, [Said("paged", "first", evidence={"share": 0.1}), Said("paged", "second", author="ümit")])


def test_entries_follow_each_other_and_are_read_as_written(database):
    logged(database)
    entries = read_log(database, "r1")
    assert [entry.number for entry in entries] == [1, 2, 3, 4]
    assert [entry.kind for entry in entries] == ["started", "begin", "paged", "paged"]
    assert [entry.previous for entry in entries] == ["", *(entry.digest for entry in entries[:-1])]
    assert entries[2].evidence == {"share": 0.1} and entries[3].author == "ümit" and entries[1].after == "shadow"
    assert verify_log(database, "r1") == entries[-1].digest


@pytest.mark.parametrize("change", [update(LOG).values(why="all was well"), delete(LOG).where(LOG.c.number == 2)])
def test_the_database_refuses_to_change_the_log(database, change):
    logged(database)
    with pytest.raises(DBAPIError, match=REFUSE), database.write() as connection:
        connection.execute(change)
    assert verify_log(database, "r1")


@pytest.mark.parametrize(("change", "entry"), [
    (update(LOG).where(LOG.c.number == 2).values(why="all was well"), 2),
    (update(LOG).where(LOG.c.number == 3).values(evidence="{}"), 3),
    (update(LOG).where(LOG.c.number == 3).values(evidence="{spoilt"), 3),
    (update(LOG).where(LOG.c.number == 1).values(at_ms=START - 1), 1),
    (delete(LOG).where(LOG.c.number == 2), 2),
    (delete(LOG).where(LOG.c.number == 4), 4),
    (update(LOG).where(LOG.c.number == 4).values(number=5), 4),
])  # fmt: skip
def test_whoever_changes_it_all_the_same_is_found_out(quick, change, entry):
    logged(quick)
    unlocked(quick)
    with quick.write() as connection:
        connection.execute(change)
    with pytest.raises(IntegrityError, match=f"entry {entry} "):
        verify_log(quick, "r1")


def test_an_entry_that_was_put_in_is_found_out(quick):
    logged(quick)
    with quick.write() as connection:
        last = connection.execute(select(LOG).where(LOG.c.number == 4)).one()._asdict()
        connection.execute(insert(LOG).values(**{**last, "seq": None, "number": 5, "previous": last["digest"]}))
    with pytest.raises(IntegrityError, match="entry 5 is not what was written"):
        verify_log(quick, "r1")


def test_an_entry_that_was_made_well_but_not_by_us_is_not_in_the_rollout(quick):
    """Its chain ends elsewhere than the rollout's row says."""
    logged(quick)
    with quick.write() as connection:
        head = connection.execute(select(ROLLOUTS.c.entries, ROLLOUTS.c.head)).one()
        append(connection, "r1", START, [Said("promote", "by nobody")])
        connection.execute(update(ROLLOUTS).values(entries=head[0], head=head[1]))
    with pytest.raises(IntegrityError, match="got 5 entries"):
        verify_log(quick, "r1")


def test_a_look_logs_nothing_where_nothing_is_decided(quick, tmp_path):
    rolled(quick, POLICY)
    rig = Rig(quick, tmp_path / "workers", policy=POLICY)
    rig.look()
    before = read_log(quick, "r1")
    rig.look(START + MINUTE)
    assert read_log(quick, "r1") == before and verify_log(quick, "r1") == before[-1].digest
