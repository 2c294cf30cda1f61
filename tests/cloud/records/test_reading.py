"""Reading: from a cursor on nothing is missed or given twice; by time, by name, by id."""

import pytest
from drafts import DIGEST, NAME, SIGNATURE, draft, filled, label

from portside.cloud.records.database import Database, reason
from portside.cloud.records.labelling import label as write
from portside.cloud.records.reading import (
    after,
    between,
    deployments,
    every_label,
    find,
    labels_after,
    labels_of,
    parts,
    records,
    signature_of,
)  # fmt: skip
from portside.sdk.core.errors import FormatError


def test_a_cursor_goes_through_everything_once(database, place):
    ids = filled(place, [draft(name="a" if number % 3 else "b") for number in range(100)])
    seen, cursor = [], 0
    while batch := after(database, cursor, limit=7):
        seen += [record.id for _, record in batch]
        cursor = batch[-1][0]
    assert seen == ids
    assert [record.id for _, record in after(database, 0, deployment="b")] == ids[::3]
    assert after(database, cursor) == []


def test_numbers_are_never_used_again(database, place):
    """A cursor may stand at a record that is deleted: what comes later has a larger number still."""
    filled(place, [draft("gone") for _ in range(3)])
    last = after(database, 0)[-1][0]
    from portside.cloud.records.forgetting import forget_entity

    assert forget_entity(database, "gone").rows["records"] == 3
    filled(place, [draft("new")])
    assert [seq > last for seq, _ in after(database, 0)] == [True]


def test_by_id_by_time_and_by_entity(database, place):
    ids = filled(place, [draft(f"e{number % 2}", server_ms=1000 + number) for number in range(50)])
    found = find(database, ids[7])
    assert found is not None and found.server_ms == 1007 and find(database, "nobody") is None
    assert [record.server_ms for record in between(database, 1010, 1013)] == [1010, 1011, 1012]
    newest = between(database, 0, 1 << 60, NAME, limit=2, newest_first=True)
    assert [record.server_ms for record in newest] == [1049, 1048]
    assert len(list(between(database, 0, 1 << 60, entity="e1"))) == 25 and not list(between(database, 0, 1 << 60, "other"))


def test_steps_of_a_graph_are_found_by_the_record_of_the_whole(database, place):
    whole = draft()
    filled(place, [draft(parent=whole.record.id, name=f"{NAME}/{step}") for step in "ab"] + [whole])
    assert [record.name for record in parts(database, whole.record.id)] == [f"{NAME}/a", f"{NAME}/b"]


def test_labels_have_a_cursor_too_and_the_newest_counts(database, place):
    [uid, other] = filled(place, [draft(rows=2), draft()])
    said = [label(uid, at_ms=10), label(uid, at_ms=30, values={"label": 0}), label(uid, at_ms=20), label(uid, row=1), label(other)]
    assert write(database, said) == 5
    assert [one for _, one in labels_after(database, 0)] == said
    cursor = labels_after(database, 0, limit=3)[-1][0]
    assert [one for _, one in labels_after(database, cursor, 10)] == said[3:]
    assert labels_of(database, [uid]) == {(uid, 0): said[1], (uid, 1): said[3]}
    assert every_label(database, [uid]) == said[:4] and labels_of(database, []) == {}


def test_what_was_served_is_known_by_name(database, place):
    filled(place, [])
    assert deployments(database) == [(NAME, DIGEST)] and signature_of(database, NAME) == SIGNATURE


def test_a_place_without_records_and_what_goes_wrong(tmp_path):
    assert list(records(tmp_path / "empty.sqlite")) == []
    for place in ("postgresql://nobody:hush@127.0.0.1:1/none", "redis://x", "no such thing://"):
        with pytest.raises(FormatError) as refused:
            Database.open(place)
        assert "hush" not in str(refused.value)


def test_an_error_is_told_without_the_data_of_its_statement():
    class WrongError(Exception):
        orig = ValueError("could not convert\nDETAIL: ana was born in 1970")

    assert reason(WrongError("INSERT ... ('ana')")) == "WrongError: could not convert"
