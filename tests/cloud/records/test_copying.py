"""Rows that PostgreSQL reads by COPY come out as they went in, whatever characters they hold."""

from __future__ import annotations

import pytest
from drafts import draft
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from portside.cloud.records.copying import copied, line
from portside.cloud.records.reading import after, records
from portside.cloud.records.rows import insert, row
from portside.cloud.records.store import RecordStore

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
HARD = ["\\", "\\N", "\\.", "a\tb", "a\nb", "\r\n", '"', "\\\\n", "", "é\u2028\U0001f600", "\x1f\x7f"]


def test_a_row_is_a_line_of_fields():
    assert line(("a\tb", None, True, False, 0.1, 5, "\\N")) == "a\\tb\t\\N\t1\t0\t0.1\t5\t\\\\N\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_texts_come_back_as_they_were(database, texts):
    held = [draft(entity, decided_by=entity, receipt={"model": entity, "time_ms": 1 / 3}) for entity in [*texts, *HARD]]
    with database.write() as connection:
        insert(connection, [row(item, 4096) for item in held])
    found = {record.id: record for _, record in after(database, 0, 100_000)}
    for item in held:
        record = found[item.record.id]
        assert (record.entity, record.decided_by, record.receipt) == (item.record.entity, item.record.entity, item.record.receipt)


def test_rows_that_are_partly_there_are_written_once_and_in_order(database):
    held = [row(draft(f"e{place}"), 4096) for place in range(6)]
    for some in (held[:3], held[2:], held):
        with database.write() as connection:
            insert(connection, some)
    with database.read() as connection:
        assert [found[0] for found in connection.execute(text("SELECT id FROM records ORDER BY seq"))] == [one[0] for one in held]


def test_what_is_there_already_leaves_the_transaction_whole(database):
    if database.kind == "sqlite":
        pytest.skip("COPY is PostgreSQL's")
    held = [row(draft(f"e{place}"), 4096) for place in range(3)]
    with database.write() as connection:
        assert copied(connection, held[:2])
        assert not copied(connection, held)
        assert copied(connection, held[2:])
    assert len(after(database, 0, 9)) == 3


def test_a_row_that_is_refused_is_lost_alone(place):
    store = RecordStore(place)
    good = [draft(f"e{number}") for number in range(8)]
    bad = draft("e", server_ms=None)  # which the table says is there
    for item in (*good[:5], bad, *good[5:]):
        store.put(item)
    store.close()
    assert (store.written, store.lost) == (8, 1)
    assert [record.entity for record in records(place)] == [item.record.entity for item in good]
