"""Comparison: three verdicts, an error rate that holds, effects that are covered by their intervals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from portside.sdk.core.drift.compare import DriftOptions, DriftReport, compare
from portside.sdk.core.errors import InputError
from portside.sdk.core.profile import Profile
from portside.sdk.core.statistics import MIN_ROWS

NAMES = np.array(["a", "b", "c"], object)


def rows(count: int, seed: int, *, shift: float = 0.0, first: float = 0.5, missing: float = 0.0) -> dict[str, Any]:
    """Three fields: x moves by `shift` deviations and is `missing`; c holds "a" with the probability `first`; y stays."""
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1, count)
    x[random.random(count) < missing] = np.nan
    return {"x": x, "y": random.gamma(2, 1, count), "c": NAMES[random.choice(3, count, p=[first, 0.9 - first, 0.1])]}


REFERENCE = Profile.of(rows(6000, 0))


@pytest.mark.parametrize(("field", "change"), [("x", {"shift": 1.0}), ("c", {"first": 0.1}), ("x", {"missing": 0.4})])
def test_the_field_that_moved_is_named_first(field: str, change: dict[str, float]) -> None:
    report = compare(REFERENCE, Profile.of(rows(400, 1, **change)))
    assert report.verdict == "drift"
    assert [one.field for one in report.drifted] == [field]
    assert report.fields[0].field == field
    assert field in report.what


def test_the_same_is_stable_and_few_rows_are_not_enough() -> None:
    assert compare(REFERENCE, Profile.of(rows(400, 1))).verdict == "stable"
    few = compare(REFERENCE, Profile.of(rows(40, 1)), DriftOptions(alpha=1e-4))
    assert few.verdict == "not enough data"
    assert "40 rows are not enough data" in few.fields[0].what
    fewer = compare(REFERENCE, Profile.of(rows(MIN_ROWS - 1, 1, shift=9)))
    assert fewer.verdict == "not enough data", "however far they are"
    assert compare(REFERENCE, Profile.of(rows(MIN_ROWS + 8, 1, shift=9))).verdict == "drift"


def test_more_rows_make_the_smallest_visible_change_smaller() -> None:
    visible = [max(one.visible for one in compare(REFERENCE, Profile.of(rows(count, 2))).fields) for count in (50, 200, 1000, 5000)]
    assert visible == sorted(visible, reverse=True)
    assert visible[0] > 0.3 > visible[1]


def test_what_is_tolerated_is_no_drift() -> None:
    moved = Profile.of(rows(2000, 3, shift=0.3))
    assert compare(REFERENCE, moved, DriftOptions(effect=0.0)).verdict == "drift"
    assert compare(REFERENCE, moved, DriftOptions(effect=0.15)).verdict == "stable"
    assert compare(REFERENCE, moved, DriftOptions(tolerances={"x": 0.15})).verdict == "stable"


def test_any_false_verdict_is_as_rare_as_alpha_over_all_fields() -> None:
    options = DriftOptions(alpha=0.1, effect=0.0)
    found = [compare(REFERENCE, Profile.of(rows(100, seed)), options).verdict == "drift" for seed in range(1, 151)]
    assert np.mean(found) <= 0.1


def test_intervals_cover_the_true_effect() -> None:
    """A shift of half a deviation puts 19.7% of rows elsewhere; first 0.5 -> 0.3 moves 20% of rows to another category."""
    reports = [compare(REFERENCE, Profile.of(rows(250, seed, shift=0.5, first=0.3))) for seed in range(1, 81)]
    for field, true in (("x", 0.1974), ("c", 0.2)):
        effects = [next(one for one in report.fields if one.field == field).effect for report in reports]
        assert np.mean([one.low <= true <= one.high for one in effects]) >= 0.95
        assert np.mean([one.value for one in effects]) == pytest.approx(true, abs=0.04)


def test_pixels_of_one_row_are_not_counted_as_rows() -> None:
    random = np.random.default_rng(0)
    pictures = random.normal(random.normal(size=(300, 1, 1)), 0.1, (300, 20, 20))
    few = random.normal(random.normal(size=(40, 1, 1)), 0.1, (40, 20, 20))
    report = compare(Profile.of({"p": pictures}), Profile.of({"p": few}))
    assert report.fields[0].rows == 40
    assert report.verdict != "drift"


def test_the_sketches_error_is_carried_along() -> None:
    parts = [Profile.of({"x": np.random.default_rng(seed).normal(size=5000)}) for seed in range(12)]
    rough, exact = parts[0], Profile.of({"x": np.random.default_rng(99).normal(0.3, 1, 250)})
    for part in parts[1:]:
        rough = rough.merge(part)
    found = compare(rough, exact).fields[0]
    assert found.error == rough.fields["x"].sketch.error > 0
    assert found.effect.value - found.effect.low > found.error


def test_fields_of_one_side_are_named() -> None:
    report = compare(REFERENCE, Profile.of({"x": rows(200, 1)["x"], "new": np.zeros(200)}))
    assert report.absent == ("y", "c")
    assert report.new == ("new",)
    assert [one.field for one in report.fields] == ["x"]


def many(kind: str, count: int, seed: int) -> Any:
    """Values of which there are more than are counted apart: texts that never repeat, identifiers, names of which few are frequent."""
    random = np.random.default_rng(seed)
    if kind == "texts":
        return np.array([f"{one:x}" for one in random.integers(0, 2**60, count)], object)
    numbers = random.integers(0, 2000, count) if kind == "even" else np.minimum(random.zipf(1.3, count), 10**6)
    return np.array([f"name {one}" for one in numbers.tolist()], object)


@pytest.mark.parametrize("kind", ["texts", "even", "few are frequent"])
@pytest.mark.parametrize("known", [500, 8000])
def test_what_has_more_values_than_are_counted_apart_does_not_drift_by_itself(kind: str, known: int) -> None:
    reference = Profile.of({"x": many(kind, known, 0)})
    for count in (50, 400, 3000):
        assert compare(reference, Profile.of({"x": many(kind, count, count)})).verdict == "stable"


def test_among_many_a_new_frequent_one_is_seen() -> None:
    reference, now = Profile.of({"x": many("few are frequent", 8000, 0)}), many("few are frequent", 400, 1)
    now[:80] = "never seen before"
    report = compare(reference, Profile.of({"x": now}))
    assert report.verdict == "drift" and report.fields[0].effect.low < 0.2 < report.fields[0].effect.high


def test_a_field_that_changed_its_kind_or_holds_nothing_drifts() -> None:
    texts = compare(REFERENCE, Profile.of({"x": np.array(["1"] * 200, object)}))
    assert texts.fields[0].effect.value == 1
    assert texts.verdict == "drift"
    gone = compare(REFERENCE, Profile.of({"x": np.full(200, np.nan)}))
    assert gone.fields[0].missing.value == 1
    assert gone.verdict == "drift"
    assert compare(Profile(), Profile()).verdict == "not enough data"


def test_a_report_survives_json() -> None:
    report = compare(REFERENCE, Profile.of(rows(200, 1, shift=1, missing=0.1)))
    assert DriftReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"effect": 1.0}, {"visible": 2.0}])
def test_options_are_shares(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="share"):
        DriftOptions(**wrong)
