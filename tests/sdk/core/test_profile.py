"""Profiles: what merging must obey, and what a summary says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portside.sdk.core.errors import FormatError
from portside.sdk.core.profile import MAX_CATEGORIES, OTHER, Profile, Summary
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.sketch import K, Sketch

NUMBERS = hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(-1e4, 1e4, width=32) | st.sampled_from([np.nan, np.inf]))
TEXTS = st.lists(st.sampled_from(["red", "blue", None, "grün"]), max_size=20).map(lambda held: np.array(held, dtype=object))
FIELDS = st.one_of(NUMBERS, TEXTS)


def same(one: Summary, two: Summary) -> None:
    exact = ("count", "missing", "finite", "low", "high", "categories")
    assert [getattr(one, name) for name in exact] == [getattr(two, name) for name in exact]
    assert one.mean == pytest.approx(two.mean, rel=1e-9, abs=1e-6)
    assert one.m2 == pytest.approx(two.m2, rel=1e-6, abs=1e-3)
    assert one.sketch.weight == two.sketch.weight


@given(NUMBERS, NUMBERS, NUMBERS)
def test_merging_is_associative_and_commutative(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    one, two, three = (Summary.of(part) for part in (a, b, c))
    same(one.merge(two).merge(three), one.merge(two.merge(three)))
    same(one.merge(two), two.merge(one))


@given(FIELDS)
def test_the_empty_summary_is_the_identity(values: np.ndarray) -> None:
    same(Summary.of(values).merge(Summary()), Summary.of(values))
    same(Summary().merge(Summary.of(values)), Summary.of(values))


@given(NUMBERS, NUMBERS)
def test_parts_merge_to_the_whole(a: np.ndarray, b: np.ndarray) -> None:
    same(Summary.of(a).merge(Summary.of(b)), Summary.of(np.concatenate([a, b])))


@given(TEXTS, TEXTS)
def test_texts_merge_to_the_whole(a: np.ndarray, b: np.ndarray) -> None:
    same(Summary.of(a).merge(Summary.of(b)), Summary.of(np.concatenate([a, b])))


@given(st.dictionaries(st.sampled_from(["x", "colour", "y"]), FIELDS))
@example({"x": np.array([0.0] * 8 + [-0.0, 0.0], np.float32)})
def test_bytes_round_trip(arrays: dict[str, np.ndarray]) -> None:
    profile = Profile.of(arrays)
    again = Profile.from_bytes(profile.to_bytes())
    assert again.to_bytes() == profile.to_bytes()
    for name, held in profile.fields.items():
        same(held, again.fields[name])


def test_moments_and_quantiles() -> None:
    values = np.random.default_rng(0).normal(3, 2, 20_000)
    parts = [Summary.of(part) for part in np.array_split(values, 13)]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merge(part)
    assert whole.mean == pytest.approx(values.mean())
    assert whole.deviation == pytest.approx(values.std(ddof=1))
    ranks = [(values <= found).mean() for found in whole.sketch.quantiles([0.05, 0.5, 0.95])]
    assert ranks == pytest.approx([0.05, 0.5, 0.95], abs=0.03)


def test_a_sketch_stays_small_and_keeps_its_weight() -> None:
    sketch = Sketch()
    for seed in range(30):
        sketch = sketch.merge(Sketch.of(np.random.default_rng(seed).random(1000)))
    assert sketch.weight == 30_000
    assert sum(len(level) for level in sketch.levels) <= K * len(sketch.levels)
    assert Sketch.from_dict(json.loads(json.dumps(sketch.to_dict()))).quantiles([0.5]) == sketch.quantiles([0.5])


def test_codes_are_counted_by_name() -> None:
    signature = Signature((TensorSpec("colour", "i32", ("batch",), categories=("red", "blue"), missing=True),), ())
    found = Profile.of({"colour": np.array([0, 0, 1, -1, -2], np.int32)}, signature).fields["colour"]
    assert (found.missing, dict(found.categories)) == (1, {"(unknown)": 1, "blue": 1, "red": 2})


def test_small_tables_are_summarised_by_column() -> None:
    assert list(Profile.of({"x": np.zeros((5, 3)), "image": np.zeros((2, 8, 8))}).fields) == ["x[0]", "x[1]", "x[2]", "image"]


def test_many_categories_are_bounded() -> None:
    found = Summary.of(np.array([f"id{place}" for place in range(3000)] + ["often"] * 9, dtype=object))
    assert len(found.categories) == MAX_CATEGORIES
    assert found.categories["often"] == 9
    assert sum(found.categories.values()) == 3009
    assert OTHER in found.categories


def test_a_malformed_profile_is_refused() -> None:
    for wrong in (b"{", b"[]", b'{"fields": {"x": {}}}'):
        with pytest.raises(FormatError, match="malformed"):
            Profile.from_bytes(wrong)
