"""Quality: sums that merge, are taken back, and stay honest where rows were drawn with a probability."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.quality import Quality

ROW = st.tuples(st.sampled_from("ab"), st.sampled_from("abc"), st.sampled_from([1.0, 2.0, 10.0]), st.sampled_from([0.05, 0.5, 1.0]))
ROWS = st.lists(ROW, max_size=12)


def made(rows: list[tuple[str, str, float, float]]) -> Quality:
    return Quality.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows])


def same(one: Quality, two: Quality) -> None:
    first, second = one.to_dict(), two.to_dict()
    assert first.pop("confusion") == pytest.approx(second.pop("confusion")) if not first["confusion"] else True
    for name in ("rows", "weight", "weight_squares", "correct", "correct_squares"):
        assert first[name] == pytest.approx(second[name])
    assert np.array(first["bins"]) == pytest.approx(np.array(second["bins"]))
    assert {key: dict(row) for key, row in one.confusion.items()} == {key: pytest.approx(dict(row)) for key, row in two.confusion.items()}


@given(ROWS, ROWS, ROWS)
def test_merging_is_commutative_and_associative_with_an_identity(a: list, b: list, c: list) -> None:  # type: ignore[type-arg]
    one, two, three = made(a), made(b), made(c)
    same(one.merge(two), two.merge(one))
    same(one.merge(two).merge(three), one.merge(two.merge(three)))
    same(one.merge(Quality()), one)
    same(one.merge(two), made(a + b))


@given(ROWS, ROWS)
def test_a_label_that_was_corrected_is_taken_back(a: list, b: list) -> None:  # type: ignore[type-arg]
    same(made(a).merge(made(b)).less(made(b)), made(a))


@given(ROWS)
def test_json_round_trip(rows: list) -> None:  # type: ignore[type-arg]
    quality = made(rows)
    assert Quality.from_dict(json.loads(json.dumps(quality.to_dict()))) == quality


def test_accuracy_confusion_and_calibration() -> None:
    quality = Quality.of(["a", "b", "b", "a"], ["a", "b", "a", "a"], confidence=[0.9, 0.9, 0.9, 0.9])
    assert quality.accuracy().value == 0.75
    assert quality.accuracy().rows == 4
    assert quality.confusion == {"a": {"a": 2.0, "b": 1.0}, "b": {"b": 1.0}}
    assert quality.calibration_error() == pytest.approx(0.15)
    assert np.isnan(Quality().calibration_error())
    assert Quality().accuracy().rows == 0


def test_measured_outputs_have_a_mean_error() -> None:
    quality = Quality.of([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], named=False)
    assert quality.mean_error().value == pytest.approx(0.5)
    assert quality.mean_error().low < 0.5 < quality.mean_error().high
    assert quality.accuracy().rows == 0


def test_rows_drawn_with_a_probability_give_an_unbiased_accuracy() -> None:
    """Sure answers are right in 98% and checked in 5% of cases, unsure ones are right in 60% and all reviewed."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(40):
        sure = random.random(4000) < 0.8
        right = random.random(4000) < np.where(sure, 0.98, 0.6)
        share = np.where(sure, 0.05, 1.0)
        seen = random.random(4000) < share
        held = Quality.of(right[seen].tolist(), [True] * int(seen.sum()), (1 / share[seen]).tolist())
        found.append((held.accuracy().value, held.accuracy().low <= 0.904 <= held.accuracy().high, right[seen].mean()))
    values, covered, naive = (np.array(part) for part in zip(*found, strict=True))
    assert values.mean() == pytest.approx(0.904, abs=0.005)
    assert covered.mean() >= 0.94
    assert naive.mean() < 0.75, "without the weights the figure would be far off"
