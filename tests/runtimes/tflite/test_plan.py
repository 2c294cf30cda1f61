"""Cutting rows into batches, padding to buckets: pure arithmetic, checked on every size."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.tflite.plan import Plan, Slot, concrete, cut
from portside.sdk.core.errors import FormatError, InputError

BATCHES = st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True).map(lambda sizes: sorted(sizes, reverse=True))
PLAN = Plan(
    (Slot("ids", "ids", "i32", ("batch", "length"), 6), Slot("image", "image", "f32", ("batch", "height", 3))),
    (Slot("y", "y", "f32", ("batch", "length")),),
    {f"b{b}_l{n}": {"batch": b, "length": n, "height": 32} for b in (1, 8) for n in (4, 16)}, "batch", ("height",), 0.5,
)  # fmt: skip


@given(st.integers(0, 200), BATCHES, st.floats(0.05, 1))
def test_every_row_is_answered_once_and_in_order(rows, batches, fill):
    cuts = cut(rows, batches, fill)
    assert [start for start, _, _ in cuts] == [sum(count for _, count, _ in cuts[:place]) for place in range(len(cuts))]
    assert sum(count for _, count, _ in cuts) == rows
    assert all(batch in batches and 0 < count <= batch for _, count, batch in cuts)


@given(st.integers(1, 200), BATCHES)
def test_nothing_is_padded_that_a_batch_fits_where_padding_never_pays(rows, batches):
    padded = [(count, batch) for _, count, batch in cut(rows, batches, 1.0) if count < batch]
    assert all(count < min(batches) for count, _ in padded)


def test_a_rest_is_padded_from_the_share_on_that_pays():
    assert cut(11, (8, 1), 3 / 8) == [(0, 8, 8), (8, 3, 8)]
    assert cut(10, (8, 1), 3 / 8) == [(0, 8, 8), (8, 1, 1), (9, 1, 1)]


def test_sizes_come_from_the_inputs_and_pieces_from_the_sizes():
    sizes = PLAN.sizes({"ids": (9, 5), "image": (9, 32, 3)})
    assert sizes == {"batch": 9, "length": 5, "height": 32}
    assert [(piece.key, piece.start, piece.rows) for piece in PLAN.fit(sizes)] == [("b8_l16", 0, 8), ("b1_l16", 8, 1)]


def test_too_long_names_the_largest_and_the_field():
    with pytest.raises(InputError, match="at most 16") as caught:
        PLAN.fit({"batch": 1, "length": 17, "height": 32})
    assert caught.value.field == "ids"


def test_an_exact_dimension_takes_its_own_sizes_alone():
    with pytest.raises(InputError, match="'height' of 32") as caught:
        PLAN.fit({"batch": 1, "length": 3, "height": 31})
    assert caught.value.field == "image"


def test_another_number_of_axes_is_named():
    with pytest.raises(InputError) as caught:
        PLAN.sizes({"ids": (5,), "image": (1, 32, 3)})
    assert caught.value.field == "ids"


def test_a_fixed_batch_is_one_call():
    plan = Plan((Slot("x", "x", "f32", (4, 2)),), (), {"main": {}})
    assert [piece.key for piece in plan.fit(plan.sizes({"x": (4, 2)}))] == ["main"]


def test_a_plan_survives_its_description():
    assert Plan.from_dict(PLAN.to_dict()) == PLAN


@pytest.mark.parametrize("lacking", ["inputs", "signatures", "batch", "fill"])
def test_a_malformed_description_is_refused(lacking):
    data = {key: value for key, value in PLAN.to_dict().items() if key != lacking}
    with pytest.raises(FormatError, match="malformed"):
        Plan.from_dict(data)


def _tensor(**change):
    return lambda data: data["inputs"][0].update(change)


@pytest.mark.parametrize("change", [
    _tensor(key=["ids"]), _tensor(name=5), _tensor(dtype="f99"), _tensor(dtype=[]), _tensor(pad="x"),
    _tensor(shape=[-1]), _tensor(shape=[True]), _tensor(shape=[1 << 31]),
    lambda data: data.update(signatures={}), lambda data: data.update(batch="rows"), lambda data: data.update(batch=["x"]),
    lambda data: next(iter(data["signatures"].values())).clear(),
    lambda data: next(iter(data["signatures"].values())).update(batch=0),
    lambda data: next(iter(data["signatures"].values())).update(batch=10**12),
    lambda data: data.update(fill=10**400),
])  # fmt: skip
def test_a_description_that_no_file_can_have_is_refused_when_it_is_read(change):
    data = json.loads(json.dumps(PLAN.to_dict()))
    change(data)
    with pytest.raises(FormatError, match="malformed"):
        Plan.from_dict(data)


def test_a_symbol_without_a_size_is_named():
    with pytest.raises(FormatError, match="no size; got width"):
        concrete(("batch", "width"), {"batch": 1})
