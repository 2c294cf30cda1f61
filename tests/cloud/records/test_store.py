"""The record writer: nothing acknowledged is lost, losses are counted, the request path never waits."""

import json
import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from portside.cloud.records.store import COLUMNS, Draft, RecordStore, connect, records
from portside.sdk.core.errors import FormatError
from portside.sdk.core.records import Receipt, Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec("x", "f32", ("batch", 2)), TensorSpec("secret", "f32", ("batch",), redact=True)),
    outputs=(TensorSpec("y", "f32", ("batch",)),),
)


def draft(entity=None):
    receipt = Receipt("m", "sha256:1", "onnx-cpu", 0, "primary").to_dict()
    record = Record(new_id(), 5, 4, entity, "sha256:p", "sha256:a", "sha256:d", receipt=receipt, flags=({"field": "x"},))
    inputs = {"x": np.array([[1, np.nan]], np.float32), "secret": np.array([1234.5], np.float32)}
    return Draft(record, inputs, {"y": np.array([0.5], np.float32)}, SIGNATURE)


def test_what_is_put_is_read_back(tmp_path):
    store = RecordStore(tmp_path / "deep" / "records.sqlite")
    drafts = [draft(f"e{number}") for number in range(1000)]
    assert all(store.put(item) for item in drafts)
    store.close()
    assert (store.written, store.lost) == (1000, 0)
    found = list(records(store.path))
    assert {record.id for record in found} == {item.record.id for item in drafts}
    first = next(record for record in found if record.entity == "e0")
    assert first.inputs == {"x": [[1.0, None]], "secret": {"redacted": True}} and first.outputs == {"y": [0.5]}
    assert first.receipt["reason"] == "primary" and first.exposed and first.propensity == 1.0


def test_redacted_values_are_not_in_the_file_at_all(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite")
    store.put(draft())
    store.close()
    for file in tmp_path.iterdir():
        assert b"1234.5" not in file.read_bytes()


def test_the_schema_is_version_one_with_every_column(tmp_path):
    RecordStore(tmp_path / "r.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        names = tuple(row[1] for row in database.execute("PRAGMA table_info(records)"))
    assert names == COLUMNS
    design = {"entity", "package", "artifact", "deployment", "arm", "propensity", "selection", "selection_reason", "decided_by", "exposed",
              "parent", "device", "sequence", "event_ms", "server_ms", "version"}  # fmt: skip
    assert design <= set(names)


def test_a_full_queue_loses_and_counts(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite", size=5)
    kept = sum(store.put(draft()) for _ in range(2000))
    store.close()
    assert store.lost == 2000 - kept > 0 and store.written == kept == len(list(records(store.path)))


def test_a_broken_disk_is_counted_and_does_not_stop_the_writer(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite")
    with closing(connect(store.path)) as database, database:
        database.execute("ALTER TABLE records RENAME TO elsewhere")
    store.put(draft())
    assert store.flush()
    assert store.lost == 1 and "no such table" in store.fault
    with closing(connect(store.path)) as database, database:
        database.execute("ALTER TABLE elsewhere RENAME TO records")
    store.put(draft())
    store.close()
    assert store.written == 1


def test_a_tensor_that_cannot_be_stored_loses_one_record_not_the_writer(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite")
    broken = draft()
    store.put(Draft(broken.record, {"x": None}, broken.outputs, SIGNATURE))
    store.put(draft())
    store.close()
    assert (store.written, store.lost) == (1, 1)


def test_two_writers_share_one_file(tmp_path):
    stores = [RecordStore(tmp_path / "r.sqlite") for _ in range(2)]
    threads = [threading.Thread(target=lambda s=s: [s.put(draft()) for _ in range(300)]) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert sum(store.written for store in stores) == len(list(records(tmp_path / "r.sqlite"))) == 600


def test_files_that_cannot_hold_records_are_refused(tmp_path):
    (tmp_path / "text").write_text("not a database, and long enough to be taken for one" * 100)
    with pytest.raises(FormatError, match="cannot be written"):
        RecordStore(tmp_path / "text")
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as database:
        database.execute("PRAGMA user_version = 9")
        database.commit()
    with pytest.raises(FormatError, match="another version"):
        RecordStore(tmp_path / "new.sqlite")


def test_json_columns_are_json(tmp_path):
    store = RecordStore(tmp_path / "r.sqlite")
    store.put(draft())
    store.close()
    with closing(sqlite3.connect(store.path)) as database:
        (inputs, flags) = database.execute("SELECT inputs, flags FROM records").fetchone()
    assert json.loads(inputs)["x"] == [[1.0, None]] and json.loads(flags) == [{"field": "x"}]


@pytest.mark.parametrize("content", [b"\xff\x00garbage" * 400, b"SQLite format 3\x00 and no more"])
def test_another_file_is_no_file_of_records(content, tmp_path):
    (tmp_path / "records.sqlite").write_bytes(content)
    with pytest.raises(FormatError, match="records"):
        list(records(tmp_path / "records.sqlite"))
