"""Evidence sets come back as they went in, under a digest of the rows alone, and nothing is pickled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portside.sdk.core.data import Data
from portside.sdk.core.errors import FormatError, InputError, IntegrityError, StoreError
from portside.sdk.store import Store
from portside.sdk.store_evidence import from_blobs, to_blobs

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
CELLS = {
    "text": TEXT, "bytes": st.binary(max_size=5),
    "mixed": st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | st.binary(max_size=3),
    "images": hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3, max_side=3)),
}  # fmt: skip
DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "i8", "u8", "?", ">f4", "M8[s]", "U4", "S3"])


@st.composite
def columns(draw: st.DrawFn, rows: int) -> Any:
    if draw(st.booleans()):
        return [draw(CELLS[kind]) for kind in [draw(st.sampled_from(sorted(CELLS)))] for _ in range(rows)]
    array = draw(hnp.arrays(np.dtype(draw(DTYPES)), (rows, *draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)))))
    words = array.ndim == 1 and array.dtype.kind == "U" and draw(st.booleans())
    return np.array([None, *array.tolist()], dtype=object)[1:] if words else array


@st.composite
def datas(draw: st.DrawFn) -> Data:
    rows = draw(st.integers(0, 4))
    inputs = {name: draw(columns(rows)) for name in draw(st.lists(TEXT, min_size=1, max_size=3, unique=True))}
    labels = draw(st.none() | hnp.arrays(np.int64, rows) | hnp.arrays(np.float32, (rows, 2)))
    return Data(inputs, labels, {name: np.array(["ä"] * rows) for name in draw(st.lists(TEXT, max_size=2, unique=True))})


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        alike = isinstance(other, np.ndarray) and (one.shape, one.dtype.kind) == (other.shape, other.dtype.kind)
        return alike and repr(one.tolist()) == repr(other.tolist())
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other)))


@given(datas())
def test_rows_come_back_as_they_went_in(data: Data) -> None:
    head, tensors = to_blobs(data)
    again = from_blobs(head, tensors)
    assert set(again.inputs) == set(data.inputs) and set(again.slices) == set(data.slices)
    assert all(same(list(values) if isinstance(values, tuple) else values, again.inputs[name]) for name, values in data.inputs.items())
    assert all(same(values, again.slices[name]) for name, values in data.slices.items())
    assert same(data.labels, again.labels)
    assert to_blobs(again) == (head, tensors)


def test_the_digest_is_of_the_rows_alone(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "deep/other")
    rows = {"x": np.arange(6.0).reshape(3, 2), "word": ["a", "b", None]}
    digest = one.put_evidence(Data(rows, [0, 1, 0]))
    assert other.put_evidence(Data(dict(reversed(rows.items())), np.array([0, 1, 0]))) == digest
    assert one.put_evidence(Data({**rows, "word": ["a", "b", "c"]}, [0, 1, 0])) != digest
    one.gc()
    assert one.evidence(digest).inputs["word"] == ["a", "b", None]
    assert one.fsck() == ()


@pytest.mark.parametrize("value", [object(), {1: 2}, np.zeros(2, complex), [[1]], np.array([{"a": 1}], dtype=object)])
def test_what_would_need_pickling_is_refused_by_name(value: Any) -> None:
    values = value if isinstance(value, list | np.ndarray) else [value]
    with pytest.raises(InputError, match="cannot be kept") as raised:
        to_blobs(Data({"odd": values}))
    assert raised.value.field == "in/odd"


def test_damage_and_absence_are_typed_errors(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digest = store.put_evidence(Data({"x": np.arange(3)}))
    with pytest.raises(StoreError, match="no such evidence"):
        store.evidence("sha256:" + "0" * 64)
    for blob in sorted((store.path / "blobs/sha256").iterdir()):
        data = blob.read_bytes()
        blob.unlink()
        blob.write_bytes(data[:-1] + b"x")
        if data != b"{}":
            with pytest.raises(IntegrityError):
                store.evidence(digest)
        assert store.fsck()
        store.put_evidence(Data({"x": np.arange(3)}))
        assert store.evidence(digest).inputs["x"].tolist() == [0, 1, 2]
        blob.unlink()
        blob.write_bytes(data)


@pytest.mark.parametrize(
    "edit",
    [lambda head: head.replace(b'"format":1', b'"format":2'), lambda head: head.replace(b'"kind":"array"', b'"kind":"pickle"'),
     lambda head: head.replace(b'"columns":{', b'"columns":[{'), lambda _: b"{}", lambda _: b"\x80\x04."],
)  # fmt: skip
def test_a_malformed_head_is_a_typed_error(edit: Any) -> None:
    head, tensors = to_blobs(Data({"x": np.arange(3)}))
    with pytest.raises((FormatError, IntegrityError)):
        from_blobs(edit(head), tensors)
