"""PrecisionPlan: pure data that survives a round trip, is cut by stage, and refuses what is no plan."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.errors import FormatError
from portside.sdk.core.plan import PRECISIONS, PrecisionPlan, means_of, plan_of

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8).map(lambda name: f"main/{name}")
NUMBERS = st.floats(-1e30, 1e30, allow_nan=False)
PLANS = st.builds(
    PrecisionPlan,
    nodes=st.dictionaries(NAMES, st.sampled_from(PRECISIONS), max_size=5),
    ranges=st.dictionaries(NAMES, st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))), max_size=5),
    per_channel=st.booleans(),
    calibration=st.dictionaries(st.sampled_from(["method", "data"]), st.text(max_size=4)),
    kept=st.dictionaries(NAMES, st.text(max_size=4), max_size=3),
    smoothing=st.dictionaries(NAMES, st.lists(st.integers(-128, 127), max_size=6).map(tuple), max_size=3),
    means=st.dictionaries(NAMES, st.lists(st.floats(-(2.0**100), 2.0**100, width=32), max_size=6).map(means_of), max_size=3),
    extra=st.dictionaries(st.just("later"), st.integers()),
)


@given(PLANS)
def test_a_plan_survives_a_file(plan):
    assert PrecisionPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_the_order_of_nodes_is_no_part_of_the_data():
    one = PrecisionPlan({"main/a": "float16", "main/b": "int8-static"})
    other = PrecisionPlan({"main/b": "int8-static", "main/a": "float16"})
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())


def test_a_package_without_a_plan_is_float32():
    plan = plan_of(None)
    assert not plan.lossy
    assert plan.counts == {}
    assert not PrecisionPlan({"main/a": "float32"}).lossy
    assert plan_of({"nodes": {"main/a": "float16"}}).lossy


def test_counts_name_the_most_frequent_first():
    plan = PrecisionPlan({"main/a": "float16", "main/b": "int8-static", "main/c": "int8-static"})
    assert list(plan.counts.items()) == [("int8-static", 2), ("float16", 1)]


def test_a_stage_gets_its_own_ids_and_not_those_of_a_stage_whose_name_begins_alike():
    plan = PrecisionPlan(
        {"main/a": "int8-static", "main2/a": "float16", "main/deep/b": "float16"}, {"main/x": (0.0, 1.0), "main2/x": (0.0, 2.0)}
    )
    assert dict(plan.stage("main").nodes) == {"a": "int8-static", "deep/b": "float16"}
    assert dict(plan.stage("main").ranges) == {"x": (0.0, 1.0)}
    assert dict(plan.stage("main2").nodes) == {"a": "float16"}
    assert not plan.stage("other").lossy
    assert PrecisionPlan(means={"main/x": (1.0,), "main2/x": (2.0,)}).stage("main").means == {"x": (1.0,)}
    assert PrecisionPlan(smoothing={"main/x": (1, -8), "main2/x": (2,)}).stage("main").smoothing == {"x": (1, -8)}


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), max_size=8))
def test_a_mean_keeps_one_part_in_256(numbers):
    kept = means_of(numbers)
    assert means_of(kept) == kept
    assert all(abs(one - other) <= abs(other) / 256 + 1e-38 for one, other in zip(kept, numbers, strict=True))


def test_means_too_large_are_the_largest_and_those_of_a_damaged_plan_are_refused():
    kept = means_of([3.4e38, -1e39, 1.0])
    assert kept[0] == -kept[1] > 3.3e38 and kept[2] == 1
    assert plan_of(PrecisionPlan(means={"main/x": kept}).to_dict()).means == {"main/x": kept}
    for wrong in (base64.b64encode(b"abc").decode(), base64.b64encode(b"\x80\x7f").decode(), "no base64", 3):
        with pytest.raises(FormatError):
            plan_of({"nodes": {}, "means": {"main/x": wrong}})


def test_a_plan_that_smooths_nothing_is_written_as_before():
    assert "smoothing" not in PrecisionPlan({"main/a": "int8-dynamic"}).to_dict()
    with pytest.raises(FormatError, match="too large"):
        PrecisionPlan(smoothing={"main/x": (1, 200)}).to_dict()


def test_nodes_that_are_kept_leave_the_plan_with_a_reason():
    plan = PrecisionPlan({"main/a": "int8-static", "main/b": "int8-static"}, kept={"main/z": "before"})
    kept = plan.keep({"main/a": "asked for"})
    assert dict(kept.nodes) == {"main/b": "int8-static"}
    assert dict(kept.kept) == {"main/z": "before", "main/a": "asked for"}
    assert "main/a" in plan.nodes


@pytest.mark.parametrize(
    "data",
    [
        {"nodes": {"a": "int3"}}, {"nodes": ["a"]}, {"nodes": {"a": None}}, {"nodes": {"a": ["int8-static"]}}, {"ranges": {"a": [1, 0]}},
        {"ranges": {"a": [float("nan"), 1]}}, {"ranges": {"a": [0, float("inf")]}}, {"ranges": {"a": [0]}}, {"ranges": {"a": ["x", "y"]}},
        {"ranges": {"a": 5}}, {"calibration": 5}, {"kept": 5}, [],
        {"smoothing": {"a": "no base64"}}, {"smoothing": {"a": [1]}}, {"smoothing": 5},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_plan_is_refused_by_name(data):
    with pytest.raises(FormatError, match="precision plan"):
        PrecisionPlan.from_dict(data)
