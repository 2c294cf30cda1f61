"""`ps.label`: durable when it returns."""

import numpy as np
import pytest

import portside as ps
from portside.cloud.records.reading import labels_after
from portside.cloud.records.store import Draft, RecordStore
from portside.sdk.core.records import Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((), (TensorSpec("y", "i64", ("batch",), categories=("no", "yes")),))


@pytest.fixture
def store(tmp_path):
    made = RecordStore(tmp_path / "r.sqlite")
    made.introduce("shop", "sha256:d", SIGNATURE)
    yield made
    made.close()


def test_a_label_of_a_record(store, monkeypatch):
    record = Record(new_id(), 5, 5, deployment="sha256:d", name="shop")
    store.put(Draft(record, {}, {"y": np.array([0, 1])}, SIGNATURE))
    assert store.flush()
    said = ps.label(record.id, {"y": "yes"}, author="ana", row=1, records=store.where)
    monkeypatch.setenv("PORTSIDE_RECORDS", str(store.where))
    again = ps.label(record.id, {"y": 0}, author="ben", note="a typing error")
    held = [label for _, label in labels_after(store.database, 0)]
    assert [(label.author, label.row, dict(label.values)) for label in held] == [("ana", 1, {"y": 1}), ("ben", 0, {"y": 0})]
    assert held[0].id == said.id and held[1].note == "a typing error" and again.at_ms == held[1].at_ms > 1_700_000_000_000
    with pytest.raises(ps.errors.InputError, match="no such category"):
        ps.label(record.id, {"y": "maybe"}, author="ana")


def test_nowhere_to_write_to(tmp_path, monkeypatch):
    monkeypatch.delenv("PORTSIDE_RECORDS", raising=False)
    with pytest.raises(ps.errors.InputError, match="where the records are"):
        ps.label("r", {"y": 1}, author="ana")
    with pytest.raises(ps.errors.FormatError, match="no file of records"):
        ps.label("r", {"y": 1}, author="ana", records=tmp_path / "none.sqlite")
