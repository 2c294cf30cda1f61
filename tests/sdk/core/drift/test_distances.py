"""Distances from summaries against SciPy on the values themselves, within the error that the sketches state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from portside.sdk.core.drift.distances import aligned, chi2, classes, familiar, ks, psi, psi_numbers, total_variation, wasserstein
from portside.sdk.core.profile import Summary
from portside.sdk.core.signature import Array
from portside.sdk.core.sketch import Sketch

SIDE = st.tuples(st.integers(1, 4000), st.integers(0, 99), st.floats(-2, 2), st.booleans())


def drawn(rows: int, seed: int, shift: float, gridded: bool) -> Array:
    values = np.random.default_rng(seed).normal(shift, 1, rows)
    return np.round(values * 2) / 2 if gridded else values


@settings(max_examples=60)
@given(SIDE, SIDE)
def test_ks_is_scipys_within_the_stated_error(one: tuple[int, int, float, bool], two: tuple[int, int, float, bool]) -> None:
    first, second = drawn(*one), drawn(*two)
    sketches = Sketch.of(first), Sketch.of(second)
    exact = float(stats.ks_2samp(first, second, method="asymp").statistic)
    assert abs(ks(*sketches) - exact) <= sketches[0].error + sketches[1].error + 1e-9


@settings(max_examples=40)
@given(SIDE, SIDE)
def test_wasserstein_is_scipys_within_the_error_times_the_range(
    one: tuple[int, int, float, bool], two: tuple[int, int, float, bool]
) -> None:
    first, second = drawn(*one), drawn(*two)
    sketches = Sketch.of(first), Sketch.of(second)
    reach = np.ptp(np.concatenate([first, second]))
    error = sketches[0].error + sketches[1].error
    assert abs(wasserstein(*sketches) - stats.wasserstein_distance(first, second)) <= error * reach + 1e-9


def test_chi2_is_scipys() -> None:
    one, two = np.array([50.0, 30.0, 0.0, 20.0]), np.array([10.0, 30.0, 0.0, 5.0])
    expected = stats.chi2_contingency(np.array([one, two])[:, [0, 1, 3]], correction=False)
    assert chi2(one, two) == (pytest.approx(expected.statistic), expected.dof)
    assert chi2(np.zeros(2), two[:2]) == (0.0, 0)


def test_psi_is_small_for_the_same_and_large_for_others() -> None:
    random = np.random.default_rng(0)
    reference = Summary.of(random.normal(size=8000))
    assert psi_numbers(reference, Summary.of(random.normal(size=8000))) < 0.01
    assert psi_numbers(reference, Summary.of(random.normal(1, 1, 8000))) == pytest.approx(1.0, abs=0.15), (
        "the textbook value for one deviation"
    )
    assert psi(np.array([100, 0]), np.array([0, 100])) > 5
    assert psi_numbers(Summary.of(np.zeros(100)), Summary.of(np.zeros(100))) == pytest.approx(0)


def test_values_that_come_back_to_the_last_digit_are_familiar() -> None:
    random = np.random.default_rng(0)
    gridded, other = np.round(random.normal(size=2000), 1), np.round(random.normal(size=200), 1) + 0.05
    assert familiar(Sketch.of(gridded), Sketch.of(np.round(random.normal(size=200), 1))) > 0.9
    assert familiar(Sketch.of(gridded), Sketch.of(other)) < 0.05
    assert familiar(Sketch.of(random.random(2000)), Sketch.of(random.random(200))) == 0
    assert familiar(Sketch(), Sketch.of(gridded)) == familiar(Sketch.of(gridded), Sketch()) == 0


def test_categories_are_aligned_and_numbers_are_one_of_them() -> None:
    one, two = aligned({"a": 3, "c": 1}, {"b": 4})
    assert (one.tolist(), two.tolist()) == ([3, 0, 1], [0, 4, 0])
    assert total_variation(one, two) == 1
    assert total_variation(np.array([1.0, 1.0]), np.array([10.0, 30.0])) == pytest.approx(0.25)
    assert total_variation(np.zeros(1), np.ones(1)) == 1
    assert classes(Summary.of(np.array([1.0, 2.0]))) == {"(numbers)": 2}
    assert ks(Sketch(), Sketch.of(np.ones(3))) == wasserstein(Sketch(), Sketch.of(np.ones(3))) == 0
