"""Labelled rows: as callers sent them, out of reviews where somebody looked, else out of records; what was not kept is counted."""

import numpy as np
import pytest

from portside.cloud.records.database import Database
from portside.cloud.records.draft import Draft
from portside.cloud.records.labelling import label
from portside.cloud.records.store import RecordStore
from portside.cloud.releasing.labelled import Front, Rows, data_of
from portside.cloud.review import queue
from portside.cloud.review.item import Candidate, Item
from portside.cloud.review.media import png
from portside.sdk.core.codec.step import WireField
from portside.sdk.core.errors import InputError
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Record, uuid7
from portside.sdk.core.signature import MISSING_CODE, Signature, TensorSpec

NOW = 1_700_000_000_000
TABLE = Signature(
    (TensorSpec("age", "f32", ("batch",)), TensorSpec("colour", "i32", ("batch",), categories=("red", "blue")),
     TensorSpec("x", "f32", ("batch", 2)), TensorSpec("kind", "i32", ("batch",), categories=("a", "b"))),
    (TensorSpec("label", "i64", ("batch",), kind="decision"),),
)  # fmt: skip
FIELDS = (WireField("age", "number", True, ("age",)), WireField("colour", "category", True, ("colour",), ("red", "blue")),
          WireField("x", "tensor", False, ("x",)), WireField("kind", "tensor", False, ("kind",)))  # fmt: skip
FRONT = Front("tester", TABLE, FIELDS, "label")
PHOTO = Signature((TensorSpec("photo", "u8", ("batch", 60, 80, 3)),), TABLE.outputs)
PICTURES = Front("tester", PHOTO, (WireField("photo", "image", False, ("photo",)),), "label")


def name(number):
    return uuid7(NOW + number, bytes(10))


def put(place, records, signature=TABLE, **options):
    """Records of (number, inputs, labels per row, fields of the record)."""
    store = RecordStore(place, **options)
    for number, inputs, outputs, more in records:
        record = Record(name(number), NOW + number, NOW + number, name="tester", package="sha256:1", **more)
        store.put(Draft(record, inputs, {"label": np.asarray(outputs, np.int64)}, signature))
    store.close()


def inputs(rows=2):
    return {"age": np.array([41.5, np.nan], np.float32)[:rows], "colour": np.array([1, MISSING_CODE], np.int32)[:rows],
            "x": np.arange(2 * rows, dtype=np.float32).reshape(rows, 2), "kind": np.array([0, 1], np.int32)[:rows]}  # fmt: skip


def said(number, value, row=0, source="api", at=50):
    return Label(uuid7(NOW + at + number, bytes([row + 1] * 10)), name(number), row, {"label": value}, "ana", NOW + at, source)


def test_typed_tensors_are_wire_values_again(place):
    put(place, [(1, inputs(), [0, 1], {}), (2, inputs(1), [0], {"selection": 0.25, "selection_reason": "check", "exposed": False})])
    with Database.open(place) as database:
        label(database, [said(1, 1, 0), said(1, 0, 1), said(2, 1, 0, "check")])
        rows = Rows(database, FRONT)
        held = list(rows)
    values = [{part.field: part.value for part in row.parts} for row in held]
    assert values[0] == {"age": 41.5, "colour": "blue", "x": [0.0, 1.0], "kind": "a"}
    assert values[1] == {"age": None, "colour": None, "x": [2.0, 3.0], "kind": "b"}
    assert [(row.model, row.label.values["label"], row.selection, row.reason) for row in held] == [
        (0, 1, 1.0, "outcome"), (1, 0, 1.0, "outcome"), (0, 1, 0.25, "check")]  # fmt: skip
    data = data_of(held, FRONT, slices=("colour", "nowhere"))
    assert data.inputs["kind"].tolist() == [0, 1, 0] and data.inputs["kind"].dtype == np.int32 and data.inputs["x"].dtype == np.float32
    assert data.inputs["colour"] == ["blue", None, "blue"] and np.isnan(data.inputs["age"][1]) and data.labels.tolist() == [1, 0, 1]
    assert data.slices["colour"].tolist() == ["blue", "None", "blue"] and list(data.slices) == ["colour"]


def test_only_rows_of_the_traffic_whose_inputs_were_kept(place):
    shadow = {"exposed": False, "arm": "shadow", "parent": name(1)}
    put(place, [(1, inputs(), [0, 1], {}), (2, inputs(), [0, 1], shadow)], raw_limit_bytes=12)
    with Database.open(place) as database:
        label(database, [said(1, 1), said(1, None, 1), said(2, 1)])
        rows = Rows(database, FRONT)
        assert not list(rows)
        assert dict(rows.left_out) == {"x is redacted, or was too large to be kept": 1, "nothing is said of label": 1}


def test_time_bounds_hold_and_the_newest_label_counts(place):
    put(place, [(number, inputs(1), [0], {}) for number in range(4)])
    with Database.open(place) as database:
        label(database, [said(number, 0) for number in range(4)] + [said(2, 1, at=90)])
        held = list(Rows(database, FRONT, NOW + 1, NOW + 3))
    assert [(row.record, row.label.values["label"]) for row in held] == [(name(1), 0), (name(2), 1)]


def test_what_somebody_looked_at_comes_with_its_picture_and_once(place):
    picture = png(np.zeros((60, 80), np.uint8))
    put(place, [(number, {"photo": np.zeros((1, 60, 80, 3), np.uint8)}, [0], {}) for number in (1, 2)], PHOTO)
    with Database.open(place) as database:
        queue.prepare(database)
        item = Item(name(9), name(1), 0, "tester", priority=1.0, output="label", candidates=(Candidate(0, "0"), Candidate(1, "1")),
                    payload={"photo": picture}, created_ms=NOW + 1, reason="low-confidence", selection=1.0, model=0)  # fmt: skip
        queue.enqueue(database, [item])
        queue.decide(database, item.id, "ana", {"label": 1}, NOW + 60)
        label(database, [said(2, 1)])
        rows = Rows(database, PICTURES)
        held = list(rows)
    assert [(row.record, row.reason, row.parts[0].kind) for row in held] == [(name(1), "low-confidence", "image")]
    assert dict(rows.left_out) == {"photo (image) is kept with reviews, not in records": 1}
    data = data_of(held, PICTURES)
    assert data.inputs["photo"] == [picture] and data.labels.tolist() == [1]


def test_no_rows_are_an_error():
    with pytest.raises(InputError, match="No row is labelled"):
        data_of([], FRONT)
