"""Thresholds for slices that hold together, and whether they still hold."""

import numpy as np
import pytest

from portside.cloud.automating.gathering import Gathered, Row
from portside.cloud.automating.judging import Promise, fit_all, watch

PROMISE = Promise(0.05, 0.1)


def gathered(**slices):
    found = Gathered()
    for name, (rows, wrong) in slices.items():
        dice = np.random.default_rng(len(name))
        for score in dice.random(rows).tolist():
            found.add("" if name == "rest" else f"cell={name}", score, Row(score, bool(dice.random() >= wrong), 1.0, False, 0))
    return found


def test_slices_are_fitted_apart_and_share_the_chance_to_fail():
    found = fit_all(gathered(rest=(900, 0.0), poly=(900, 0.2), mono=(20, 0.0)), ("cell=poly", "cell=mono"), PROMISE)
    assert {name: held.verdict for name, held in found.items()} == {
        "": "fitted", "cell=poly": "out of reach", "cell=mono": "not enough data"}  # fmt: skip
    assert all(held.delta == pytest.approx(0.1 / 3) for held in found.values()) and found[""].at.share == 1.0


def rows(count, wrong, weight=20.0, **rest):
    return [Row(0.95, place >= wrong, weight, rest.get("automated", True), rest.get("at", 10)) for place in range(count)]


@pytest.mark.parametrize(
    ("count", "wrong", "verdict"),
    [(200, 2, "holds"), (200, 30, "breached"), (60, 60, "breached"), (40, 2, "not enough data")],
)
def test_checks_say_whether_a_threshold_holds(count, wrong, verdict):
    seen = watch(rows(count, wrong), PROMISE, since_ms=5)
    assert seen.verdict == verdict and seen.error == wrong / count and seen.checks == count and seen.upper >= seen.error


def test_only_what_the_model_decided_since_then_counts():
    assert watch([*rows(50, 50, at=1), *rows(50, 50, automated=False)], PROMISE, since_ms=5).checks == 0
    assert watch([], PROMISE, since_ms=5).verdict == "not enough data"


def test_people_who_err_do_not_make_a_breach():
    held = rows(2000, 70)
    assert watch(held, Promise(0.02, 0.1), 0).verdict == "breached"
    assert watch(held, Promise(0.02, 0.1, people_error=0.03), 0).error == pytest.approx(0.005 / 0.94)
