"""Old rows give way to runs of numbers: nothing is taken twice, nothing is lost, and a device's rows stay few."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sent import NOW, known, record, sent
from sqlalchemy import func, select

from portside.cloud.fleet.devices import devices
from portside.cloud.fleet.forgetting import forget, runs_of
from portside.cloud.fleet.tables import ENTRIES, EVENTS, SPANS
from portside.cloud.records.reading import records
from portside.sdk.core.records import new_id

DAY_MS = 86_400_000


@given(st.lists(st.integers(1, 60)), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9))), st.integers(1, 8))
def test_runs_hold_the_numbers_and_no_more_unless_there_are_too_many(numbers, known_runs, most):
    runs = [(low, low + length) for low, length in known_runs]
    meant = {*numbers, *(number for low, high in runs for number in range(low, high + 1))}
    found = runs_of(numbers, runs, most)
    held = [number for low, high in found for number in range(low, high + 1)]
    assert len(held) == len(set(held)) and meant <= set(held) and len(found) <= most
    if len(runs_of(numbers, runs, 1000)) <= most:
        assert set(held) == meant
    assert runs_of([], found, most) == found, "and they are as few as they can be"


def rows(database, table):
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


def test_old_rows_become_runs_and_are_still_known(database, place):
    device, later = known(database), NOW + 31 * DAY_MS
    entries = [record(number) for number in (1, 2, 3, 7, 8)]
    event = {"sequence": 4, "id": new_id(), "kind": "event", "body": {"name": "started"}}
    sent(database, device, *entries, event)
    assert forget(database, 30, NOW) == 0, "nothing is old yet"
    assert forget(database, 30, later) == 7 and forget(database, 30, later) == 0
    assert (rows(database, ENTRIES), rows(database, SPANS), rows(database, EVENTS)) == (0, 2, 0)
    again = sent(database, device, *entries, record(5), now_ms=later)
    assert again.held == (1, 2, 3, 5, 7, 8) and again.highest == 8 and len(list(records(place))) == 6
    other = sent(database, device, record(2), now_ms=later)
    assert (other.held, other.conflicts) == ((), (2,)), "a device that was set back sends it under a new number"
    forget(database, 30, later + 31 * DAY_MS)
    (found,) = devices(database)
    assert (rows(database, SPANS), found.entries, found.highest, found.missing) == (2, 7, 8, 1)


def test_where_records_are_kept_for_ever_events_stay(lite):
    device = known(lite)
    sent(lite, device, {"sequence": 1, "id": new_id(), "kind": "event", "body": {"name": "started"}})
    assert forget(lite, None, NOW + 29 * DAY_MS) == 0 and forget(lite, None, NOW + 31 * DAY_MS) == 1
    assert (rows(lite, ENTRIES), rows(lite, EVENTS)) == (0, 1)


def test_a_little_at_a_time(lite):
    device = known(lite)
    sent(lite, device, *(record(number) for number in range(1, 26)))
    assert [forget(lite, 1, NOW + 2 * DAY_MS, most=10) for _ in range(4)] == [10, 10, 5, 0]
    assert rows(lite, SPANS) == 1
