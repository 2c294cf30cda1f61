"""The record writer: nothing acknowledged is lost, losses are counted, the request path never waits."""

import json
import threading
import time

import numpy as np
import pytest
from drafts import DIGEST, NAME, SIGNATURE, draft
from sqlalchemy import event, text

from portside.cloud.records.database import Database
from portside.cloud.records.reading import signature_of
from portside.cloud.records.store import COLUMNS, Draft, RecordStore, records
from portside.sdk.core.errors import FormatError


def test_what_is_put_is_read_back(place):
    store = RecordStore(place)
    drafts = [draft(f"e{number}") for number in range(1000)]
    assert all(store.put(item) for item in drafts)
    store.close()
    assert (store.written, store.lost, store.fault) == (1000, 0, "")
    found = list(records(place))
    assert [record.id for record in found] == [item.record.id for item in drafts]
    first = found[0]
    assert first.inputs == {"x": [[1.0, None]], "secret": {"redacted": True}} and first.outputs == {"y": [0.5], "label": [0]}
    assert (first.entity, first.name, first.deployment) == ("e0", NAME, DIGEST)
    assert first.receipt["reason"] == "primary" and first.exposed and first.propensity == 1.0 and first.flags == ({"field": "x"},)


def test_a_record_that_is_put_again_is_there_once(place):
    store = RecordStore(place)
    item = draft()
    for _ in range(3):
        store.put(item)
    store.close()
    assert store.lost == 0 and [record.id for record in records(place)] == [item.record.id]


def test_redacted_values_are_not_in_the_file_at_all(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite")
    store.put(draft())
    assert store.flush()
    for file in tmp_path.iterdir():
        assert b"1234.5" not in file.read_bytes()
    store.close()


def test_the_table_has_every_column_of_record_v1(database):
    with database.read() as connection:
        names = list(connection.execute(text("SELECT * FROM records")).keys())
    assert tuple(names) == ("seq", *COLUMNS)
    design = {"entity", "package", "artifact", "deployment", "arm", "propensity", "selection", "selection_reason", "decided_by", "exposed",
              "parent", "device", "sequence", "event_ms", "server_ms", "version"}  # fmt: skip
    assert design <= set(names)


def test_a_full_queue_loses_and_counts(place):
    store = RecordStore(place, size=5)
    kept = sum(store.put(draft()) for _ in range(2000))
    store.close()
    assert store.lost == 2000 - kept > 0 and store.written == kept == len(list(records(place)))


def test_the_queue_is_bounded_in_bytes_too(place):
    store = RecordStore(place, size_bytes=100_000)
    large = draft()
    large = Draft(large.record, {"x": np.zeros((2500, 4), np.float32)}, large.outputs, SIGNATURE)  # 40 kB, which the record describes
    assert [store.put(large) for _ in range(3)] == [True, True, False]
    assert 80_000 < store.waiting_bytes < 100_000
    assert store.flush() and store.waiting_bytes == 0 and store.put(large)
    store.close()
    assert store.lost == 1


def test_texts_and_lists_of_images_weigh_too(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite", size_bytes=10_000)
    item = draft()
    assert not store.put(Draft(item.record, {}, {}, SIGNATURE, sent={"words": ["a" * 5000, "b" * 5000]}))
    assert not store.put(Draft(item.record, {"x": [np.zeros(5000, np.uint8), np.zeros(6000, np.uint8)]}, {}, SIGNATURE))  # type: ignore[dict-item]
    store.close()


def test_a_database_that_fails_is_asked_again_until_it_takes_what_waits(place):
    store = RecordStore(place, size=20)
    with store.database.write() as connection:
        connection.execute(text("ALTER TABLE records RENAME TO elsewhere"))
    broken = store.database.kind == "sqlite"  # PostgreSQL says that the statement is wrong: no time heals that
    for _ in range(5):
        store.put(draft())
    until(lambda: store.failing or store.lost == 5)
    assert store.flush(0.4 if broken else 20) is not broken and store.failing is broken and "records" in store.fault
    assert store.lost == (0 if broken else 5)
    with store.database.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO records"))
    store.put(draft())
    store.close()
    assert store.written == (6 if broken else 1) == len(list(records(place)))


def until(true, seconds=20):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def full_disk(store, pages=0):
    """SQLite may not grow the file any more."""
    with store.database.read() as connection:
        held = connection.execute(text("PRAGMA page_count")).scalar_one()
    store.database.engine.dispose()
    listener = lambda connection, record: connection.execute(f"PRAGMA max_page_count = {held + pages}")  # noqa: E731
    event.listen(store.database.engine, "connect", listener)
    return listener


def test_with_a_full_disk_requests_go_on_losses_are_counted_and_it_heals(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite", size=600)
    listener = full_disk(store, pages=3)
    for _ in range(2000):
        store.put(draft())
    until(lambda: store.failing)
    assert not store.flush(0.5)
    assert store.failing and "full" in store.fault
    lost, waiting = store.lost, store.waiting
    assert lost > 0 and lost + waiting + store.written == 2000
    event.remove(store.database.engine, "connect", listener)
    store.database.engine.dispose()
    assert store.flush() and not store.failing and store.fault == ""
    store.close()
    assert (store.lost, store.written) == (lost, 2000 - lost) and len(list(records(store.database.place))) == 2000 - lost


def test_closing_while_the_database_fails_counts_what_is_lost(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite")
    full_disk(store)
    for _ in range(1500):
        store.put(draft())
    store.close(0.5)
    assert store.written + store.lost == 1500 and store.lost > 0 and not store.put(draft())


def test_a_record_that_cannot_be_stored_is_lost_alone(place):
    store = RecordStore(place)
    bad = draft()
    store.put(Draft(bad.record, {"x": None}, bad.outputs, SIGNATURE))  # type: ignore[dict-item]
    for number in range(20):
        store.put(draft("nul\x00" if number == 7 else "e"))  # PostgreSQL holds no such text
    store.close()
    odd = 1 if isinstance(place, str) else 0
    assert (store.written, store.lost) == (20 - odd, 1 + odd)


def test_several_writers_share_one_database_and_the_order_is_that_of_commits(place):
    stores = [RecordStore(place) for _ in range(2)]
    seen: list[int] = []
    done, after = threading.Event(), text("SELECT seq FROM records WHERE seq > :last ORDER BY seq")

    def follow():
        with Database.open(place) as database:
            while not done.is_set() or len(seen) < 600:
                with database.read() as connection:
                    last = seen[-1] if seen else 0
                    seen.extend(row[0] for row in connection.execute(after, {"last": last}))

    reader = threading.Thread(target=follow)
    reader.start()
    threads = [threading.Thread(target=lambda s=s: [s.put(draft()) for _ in range(300)]) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    done.set()
    reader.join(20)
    assert sum(store.written for store in stores) == 600 == len(list(records(place)))
    assert len(seen) == 600, "a reader that goes on from the last number missed a record"


def test_a_deployment_is_introduced(place):
    store = RecordStore(place)
    store.introduce(NAME, DIGEST, SIGNATURE)
    store.introduce(NAME, DIGEST, SIGNATURE)
    assert store.flush() and signature_of(store.database, NAME) == SIGNATURE == signature_of(store.database, NAME, DIGEST)
    assert signature_of(store.database, NAME, "sha256:other") is None
    store.close()


def test_another_file_is_no_file_of_records(tmp_path):
    (tmp_path / "text").write_text("not a database, and long enough to be taken for one" * 100)
    with pytest.raises(FormatError, match="cannot be written"):
        RecordStore(tmp_path / "text")
    with pytest.raises(FormatError, match="SQLite or PostgreSQL"):
        RecordStore("mysql://somebody@there/records")


def test_json_columns_are_json(database, place):
    store = RecordStore(place)
    store.put(draft(receipt={"model": "m", "attempts": ["0:deadline"], "odd": 1 << 70, "surrogate": "\ud800"}))
    store.close()
    with database.read() as connection:
        inputs, flags, receipt = connection.execute(text("SELECT inputs, flags, receipt FROM records")).one()
    assert json.loads(inputs)["x"] == [[1.0, None]] and json.loads(flags) == [{"field": "x"}] and json.loads(receipt)["model"] == "m"


@pytest.mark.parametrize("content", [b"\xff\x00garbage" * 400, b"SQLite format 3\x00 and no more"], ids=["garbage", "head"])
def test_what_is_no_database_is_refused(content, tmp_path):
    (tmp_path / "records.sqlite").write_bytes(content)
    with pytest.raises(FormatError, match="ecords"):
        list(records(tmp_path / "records.sqlite"))
