"""Sketches: the error that they state is never exceeded, however they came together."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.signature import Array
from portside.sdk.core.sketch import K, Sketch

PARTS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 9), st.booleans()), min_size=1, max_size=6)


def values_of(rows: int, seed: int, gridded: bool) -> Array:
    drawn = np.random.default_rng(seed).normal(seed, 2, rows)
    return np.round(drawn) if gridded else drawn


def exceeded(sketch: Sketch, values: Array) -> float:
    """By how much a share is further from the truth than the sketch says; not above rounding where all is well."""
    places = np.append(np.unique(values), [-1e9, 1e9])
    exact = np.searchsorted(np.sort(values), places, side="right") / max(len(values), 1)
    return float(np.abs(sketch.shares(places) - exact).max()) - sketch.error if len(values) else 0.0


@given(PARTS)
def test_the_stated_error_holds_for_any_way_of_merging(parts: list[tuple[int, int, bool]]) -> None:
    arrays = [values_of(*part) for part in parts]
    whole, sketches = np.concatenate(arrays), [Sketch.of(array) for array in arrays]
    one_by_one = Sketch()
    for sketch in sketches:
        one_by_one = one_by_one.merge(sketch)
    other_way = Sketch()
    for sketch in reversed(sketches):
        other_way = sketch.merge(other_way)
    for merged in (one_by_one, other_way, Sketch.merge_all(sketches), Sketch.of(whole)):
        assert merged.weight == len(whole)
        assert exceeded(merged, whole) < 1e-9


@given(PARTS)
def test_ways_of_merging_agree_up_to_their_errors(parts: list[tuple[int, int, bool]]) -> None:
    sketches = [Sketch.of(values_of(*part)) for part in parts]
    places = np.linspace(-12, 20, 65)
    forth, back = Sketch.merge_all(sketches), Sketch.merge_all(sketches[::-1])
    assert np.abs(forth.shares(places) - back.shares(places)).max() <= forth.error + back.error + 1e-9
    for sketch in sketches:
        same = Sketch.merge_all([Sketch(), sketch, Sketch()])
        assert same.to_dict() == sketch.to_dict()


@given(PARTS)
def test_json_round_trip(parts: list[tuple[int, int, bool]]) -> None:
    sketch = Sketch.merge_all([Sketch.of(values_of(*part)) for part in parts])
    again = Sketch.from_dict(json.loads(json.dumps(sketch.to_dict())))
    assert again.to_dict() == sketch.to_dict()
    assert (again.over, again.under, again.weight) == (sketch.over, sketch.under, sketch.weight)


def test_the_error_stays_small_over_many_merges() -> None:
    parts = [Sketch.of(np.random.default_rng(seed).random(1000)) for seed in range(300)]
    held = Sketch()
    for part in parts:
        held = held.merge(part)
    assert 0 < held.error < 0.015
    assert Sketch.merge_all(parts).error < 0.01
    assert sum(map(len, held.levels)) <= K * len(held.levels)


def test_few_values_are_exact() -> None:
    assert Sketch.of(np.arange(K, dtype=np.float64)).error == 0
    assert Sketch().error == 0
    assert Sketch.of(np.array([3.0, 1.0, 3.0])).shares(np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx([0, 1 / 3, 1 / 3, 1])


def test_a_sketch_of_before_errors_were_kept_is_read_with_the_worst_that_can_be() -> None:
    old = {"levels": [[0.5], [float(place) for place in range(200)]], "turns": [1, 0]}
    sketch = Sketch.from_dict(old)
    assert (sketch.weight, sketch.over, sketch.under) == (401, 1, 1)
    assert sketch.error == pytest.approx(1 / 401)


def test_points_are_distinct_and_reach_one() -> None:
    values, shares = Sketch.of(np.repeat([1.0, 2.0, 5.0], [400, 400, 200])).points
    assert values.tolist() == [1.0, 2.0, 5.0]
    assert shares[-1] == 1
    assert shares == pytest.approx([0.4, 0.8, 1.0], abs=0.01)
