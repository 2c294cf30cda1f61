"""Golden rows: how many, which, and the rows that are made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core import golden
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import MISSING_CODE, UNKNOWN_CODE, Signature, StatePair, TensorSpec


@given(st.integers(1, 2000), st.floats(1, 1e7), st.integers(0, 400), st.integers(0, 5))
def test_counts_stay_within_the_promises(rows: int, row_bytes: float, wanted: int, seed: int) -> None:
    chosen = golden.select(rows, row_bytes, {"half": np.arange(rows) % 2}, np.arange(rows), seed, wanted)
    places = [row for row, _ in chosen]
    assert places == sorted(set(places))
    assert len(chosen) <= min(rows, 256)
    assert len(chosen) >= min(rows, 4)
    if row_bytes * 32 <= 3_500_000:
        assert len(chosen) >= min(rows, 32)
    if len(chosen) > 4:
        assert len(chosen) * row_bytes <= golden.BYTES


@given(st.integers(0, 5))
def test_choosing_is_deterministic(seed: int) -> None:
    one, two = (golden.select(500, 10, {"s": np.arange(500) % 3}, np.arange(500) % 7, seed) for _ in range(2))
    assert one == two


def test_lowest_margins_and_small_groups_are_there() -> None:
    groups = np.array(["big"] * 990 + ["small"] * 10)
    chosen = dict(golden.select(1000, 10, {"cell": groups}, np.abs(np.arange(1000) - 500.0)))
    assert chosen[500] == "margin"
    assert sum(row >= 990 for row in chosen) >= 8
    assert set(chosen.values()) == {"margin", "slice:cell=big", "slice:cell=small", "random"}


SIGNATURE = Signature((
    TensorSpec("table", "f64", ("batch", 3), missing=True, range=(-np.inf, 5.0)),
    TensorSpec("colour", "i32", ("batch",), categories=("a", "b"), missing=True),
    TensorSpec("shade", "i32", ("batch",), categories=("a",), on_unknown="reject"), TensorSpec("plain", "f32", ("batch", "steps")),
    TensorSpec("rate", "i64", (), None),
), ())  # fmt: skip
ROW = {
    "table": np.ones((1, 3)), "colour": np.zeros(1, np.int32), "shade": np.zeros(1, np.int32), "plain": np.ones((1, 4), np.float32),
    "rate": np.asarray(16000),
}  # fmt: skip


def test_edges_are_what_the_signature_allows() -> None:
    made = dict(golden.edges(SIGNATURE, ROW))
    assert set(made) == {
        "missing:table", "missing:table[0]", "missing:table[1]", "missing:table[2]", "infinite:table", "missing:colour", "unknown:colour",
    }  # fmt: skip
    assert np.isnan(made["missing:table[1]"]["table"]).tolist() == [[False, True, False]]
    assert made["infinite:table"]["table"].tolist() == [[-np.inf] * 3]
    assert made["missing:colour"]["colour"].tolist() == [MISSING_CODE]
    assert made["unknown:colour"]["colour"].tolist() == [UNKNOWN_CODE]
    assert ROW["table"].tolist() == [[1, 1, 1]], "the given row is not changed"


def test_dimensions_are_cut_and_tiled() -> None:
    dimensions = golden.free_dimensions(SIGNATURE)
    assert list(dimensions) == ["steps"]
    assert golden.sizes_of(dimensions["steps"], ROW) == [1, 2, 8]
    row = {**ROW, "plain": np.arange(3.0)[None]}
    assert golden.resized(dimensions["steps"], row, 5)["plain"].tolist() == [[0, 1, 2, 0, 1]]
    assert golden.resized(dimensions["steps"], row, 1)["plain"].tolist() == [[0]]


def test_a_canvas_bounds_its_dimensions() -> None:
    signature = Signature((TensorSpec("photo", "u8", ("batch", "h", "w", 3), canvas=(6, 8)),), ())
    images = [np.zeros((5, 7, 3), np.uint8)]
    height = golden.free_dimensions(signature)["h"]
    assert golden.sizes_of(height, {"photo": images}) == [1, 2, 6]
    assert golden.resized(height, {"photo": images}, 6)["photo"][0].shape == (6, 7, 3)


def test_rows_are_taken_along_the_batch_axis() -> None:
    signature = Signature((TensorSpec("a", "f32", (2, "batch"), 1), TensorSpec("k", "f32", (3,), None)), ())
    inputs = {"a": np.arange(8.0).reshape(2, 4), "k": np.arange(3.0)}
    assert golden.rows_of(signature, inputs) == 4
    taken = golden.take(signature, inputs, [3, 0])
    assert taken["a"].tolist() == [[3, 0], [7, 4]]
    assert taken["k"].tolist() == [0, 1, 2]


def test_state_has_no_rows_of_its_own() -> None:
    specs = (TensorSpec("x", "f32", (1, 8)), TensorSpec("h", "f32", (2, 1, 4), 1))
    signature = Signature(specs, (TensorSpec("hn", "f32", (2, 1, 4), 1),), (StatePair("hn", "h", (2, 1, 4)),))
    assert [spec.name for spec in golden.batched(signature)] == ["x"]
    assert golden.fixed_rows(signature) == 1


def test_examples_of_a_model_without_rows_are_frames() -> None:
    specs = (TensorSpec("x", "f32", (5, 2), None), TensorSpec("k", "f32", (3,), None), TensorSpec("h", "f32", (4,), None))
    signature = Signature(specs, (TensorSpec("hn", "f32", (4,), None),), (StatePair("hn", "h", (4,)),))
    inputs = {"x": np.arange(70.0).reshape(7, 5, 2), "k": np.arange(3.0)}
    assert golden.framed(signature, inputs) == ["x"]
    assert (golden.rows_of(signature, inputs), golden.fixed_rows(signature)) == (7, 1)
    taken = golden.take(signature, inputs, [2])
    assert taken["x"].tolist() == inputs["x"][2].tolist()
    assert taken["k"].tolist() == [0, 1, 2]
    assert golden.framed(signature, taken) == []
    assert golden.rows_of(signature, taken) == 1
    assert golden.take(signature, inputs, [2, 4])["x"].shape == (2, 5, 2)


def test_inputs_of_different_lengths_are_refused() -> None:
    signature = Signature((TensorSpec("a", "f32", ("batch",)), TensorSpec("b", "f32", ("batch",))), ())
    with pytest.raises(InputError, match="different numbers of rows"):
        golden.rows_of(signature, {"a": np.zeros(3), "b": np.zeros(2)})


def test_fewer_rows_are_chosen_where_a_row_is_large():
    assert golden.usual(80.0) == golden.WANTED
    assert golden.usual(3 * 32 * 32 * 4.0) == golden.FEWEST
