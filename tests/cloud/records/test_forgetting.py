"""Deletion by subject reaches everything that belongs to a record, to the last byte on SQLite; retention takes the oldest."""

import sqlite3
import time
from contextlib import closing

from drafts import NAME, draft, filled, label
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from portside.cloud.records.forgetting import Keep, expire, forget_entity, spread
from portside.cloud.records.labelling import label as write
from portside.cloud.records.reading import every_label, records
from portside.cloud.records.store import RecordStore

OTHERS = Table("others", MetaData(), Column("id", Integer, primary_key=True), Column("record", Text), Column("held", Text))
DAY_MS = 86_400_000


def test_everything_about_a_subject_goes_and_nothing_else(database, place):
    whole = draft("ana")
    ids = filled(place, [whole, draft("ben"), draft(None), draft("ana"), draft(None, parent=whole.record.id, name=f"{NAME}/step")])
    write(database, [label(uid) for uid in ids])
    with database.write() as connection:
        OTHERS.create(connection)
        connection.execute(insert(OTHERS), [{"record": uid, "held": "of " + uid} for uid in ids])
    gone = forget_entity(database, "ana")
    assert gone.rows == {"records": 3, "labels": 3, "others": 3}
    kept = [ids[1], ids[2]]
    assert [record.id for record in records(place)] == kept
    assert {said.record for said in every_label(database, ids)} == set(kept)
    with database.read() as connection:
        assert list(connection.execute(select(OTHERS.c.record).order_by(OTHERS.c.id)).scalars()) == kept
    assert forget_entity(database, "ana").rows == {"records": 0}


def test_not_a_byte_is_left_in_the_files(tmp_path):
    path = tmp_path / "r.sqlite"
    store = RecordStore(path)
    for number in range(3000):
        store.put(draft("subject-ana" if number % 7 == 0 else "ben", selection_reason=f"note on {'ana' if number % 7 == 0 else 'ben'}"))
    assert store.flush()
    assert any(b"subject-ana" in file.read_bytes() for file in tmp_path.iterdir())
    gone = forget_entity(store.database, "subject-ana")
    assert gone.wiped and gone.rows["records"] == 429
    for file in tmp_path.iterdir():
        held = file.read_bytes()
        assert b"subject-ana" not in held and b"note on ana" not in held, file.name
    store.close()


def test_a_reader_in_the_way_is_told(tmp_path, monkeypatch):
    """The log cannot be emptied while somebody reads by it."""
    monkeypatch.setattr("portside.cloud.records.forgetting.WIPE_S", 0.2)
    filled(tmp_path / "r.sqlite", [draft("ana")])
    with closing(sqlite3.connect(tmp_path / "r.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        store = RecordStore(tmp_path / "r.sqlite")
        assert not forget_entity(store.database, "ana").wiped
        reader.execute("COMMIT")
        assert forget_entity(store.database, "ana").wiped
        store.close()


def test_old_records_expire_with_their_labels(database, place):
    now = 100 * DAY_MS
    ids = filled(place, [draft(server_ms=day * DAY_MS) for day in range(60, 100)])
    write(database, [label(uid) for uid in ids])
    keep = Keep(days=10)
    counts = [expire(database, keep, now, most=20) for _ in range(3)]
    assert counts == [20, 10, 0]
    assert [record.server_ms for record in records(place)] == [day * DAY_MS for day in range(90, 100)]
    assert len(every_label(database, ids)) == 10 and expire(database, Keep(), now) == 0


def test_the_oldest_go_while_all_take_too_much(database, place):
    ids = filled(place, [draft(server_ms=number) for number in range(2000)])
    with database.read() as connection:
        count, each = spread(connection)
    assert count == 2000 and 300 < each < 1200
    keep = Keep(mb=500 * each / (1 << 20))
    while expire(database, keep, 0):
        pass
    left = [record.id for record in records(place)]
    assert left == ids[-len(left) :] and 490 <= len(left) <= 501


def test_a_file_gives_its_pages_back(tmp_path):
    path = tmp_path / "r.sqlite"
    filled(path, [draft(selection_reason="x" * 2000) for _ in range(2000)])
    large = path.stat().st_size
    store = RecordStore(path, keep=Keep(mb=0.05))
    ends = time.monotonic() + 20
    while len(list(records(path))) > 200 and time.monotonic() < ends:
        time.sleep(0.1)
    store.close()
    assert len(list(records(path))) < 200 and path.stat().st_size < large / 2


def test_a_server_deletes_while_it_writes(place):
    filled(place, [draft(server_ms=5) for _ in range(1500)])
    store = RecordStore(place, keep=Keep(days=1))
    now = time.time_ns() // 1_000_000
    kept = [draft(server_ms=now) for _ in range(300)]
    for item in kept:
        store.put(item)
        time.sleep(0.001)
    ends = time.monotonic() + 20
    while len(list(records(place))) > 300 and time.monotonic() < ends:
        time.sleep(0.05)
    store.close()
    assert store.lost == 0 and {record.id for record in records(place)} == {item.record.id for item in kept}
