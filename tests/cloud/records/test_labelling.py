"""Labels: acknowledged is durable, sent twice is there once, and values that the outputs cannot hold are refused."""

import threading

import pytest
from drafts import draft, filled, label
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write
from portside.cloud.records.reading import every_label, labels_of
from portside.sdk.core.errors import InputError, StoreError
from portside.sdk.core.labels import newest


def test_names_become_codes_where_the_signature_is_known(database, place):
    [uid] = filled(place, [draft()])
    assert write(database, [label(uid, values={"label": "poly", "y": 0.25})]) == 1
    assert labels_of(database, [uid])[uid, 0].values == {"label": 1, "y": 0.25}


def test_a_label_may_come_before_its_record(database, place):
    item = draft()
    early = label(item.record.id, values={"label": "poly"})
    assert write(database, [early]) == 1
    filled(place, [item])
    assert write(database, [early]) == 0, "the same label, sent again once its record is there"
    assert labels_of(database, [item.record.id])[item.record.id, 0].values == {"label": "poly"}


@pytest.mark.parametrize(("values", "match"), [
    ({"label": "triple"}, "no such category"), ({"label": 2}, "no such category"), ({"label": True}, "no such category"),
    ({"colour": 1}, "there is no 'colour'"), ({"y": "high"}, "is a number"), ({"y": [0.5]}, "one value"),
], ids=["name", "code", "bool", "output", "text", "list"])  # fmt: skip
def test_what_the_outputs_cannot_hold_is_refused_and_nothing_is_written(database, place, values, match):
    [uid] = filled(place, [draft()])
    with pytest.raises(InputError, match=match):
        write(database, [label(uid), label(uid, values=values)])
    assert every_label(database, [uid]) == []


def test_a_row_that_is_not_there_is_refused(database, place):
    [uid] = filled(place, [draft(rows=3)])
    assert write(database, [label(uid, row=2)]) == 1
    with pytest.raises(InputError, match="no such row"):
        write(database, [label(uid, row=3)])


def test_an_id_stands_for_one_label(database, place):
    [uid, other] = filled(place, [draft(), draft()])
    said = label(uid)
    assert write(database, [said, said]) == 1 and write(database, [said]) == 0
    for wrong in (label(other, id=said.id), label(uid, id=said.id, values={"label": 0}), label(uid, id=said.id, author="ben")):
        with pytest.raises(InputError, match="another label already"):
            write(database, [wrong])
    assert every_label(database, [uid, other]) == [said]


def test_many_are_one_transaction(database, place):
    ids = filled(place, [draft() for _ in range(1200)])
    assert write(database, [label(uid) for uid in ids]) == 1200 and len(labels_of(database, ids)) == 1200
    assert write(database, []) == 0


def test_several_people_at_once(place, database):
    ids = filled(place, [draft() for _ in range(8)])

    def say(author):
        with Database.open(place) as own:
            for number, uid in enumerate(ids):
                write(own, [label(uid, author=author, at_ms=number)])

    people = [threading.Thread(target=say, args=(name,)) for name in ("ana", "ben", "cy")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(every_label(database, ids)) == 24


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_newest_counts_in_whatever_order_they_come(tmp_path, data):
    moments = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=6))
    said = [label("r", at_ms=at_ms, values={"label": value}) for at_ms, value in moments]
    order = data.draw(st.permutations(said))
    with Database.open(tmp_path / "r.sqlite") as database:
        record = order[0].id  # a record of its own for every example
        own = [label(record, id=one.id, at_ms=one.at_ms, values=one.values) for one in order]
        for one in own:
            write(database, [one])
        assert labels_of(database, [record]) == newest(own) == {(record, 0): max(own, key=lambda one: (one.at_ms, one.id))}


def test_a_database_that_has_gone_is_an_error_that_says_so(tmp_path):
    database = Database.open(tmp_path / "r.sqlite")
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE labels")
    with pytest.raises(StoreError, match="no such table"):
        write(database, [label("r")])
    database.close()
