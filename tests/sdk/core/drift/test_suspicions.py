"""Explanations: the right one where it explains, none where nothing does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from portside.sdk.core.drift.suspicions import Suspicion, suspicions
from portside.sdk.core.drift.units import UNITS
from portside.sdk.core.profile import Profile
from portside.sdk.core.signature import Array

RANDOM = np.random.default_rng(0)


def weather(rows: int) -> dict[str, Array]:
    """Temperature in Celsius, pressure in hPa, wind in m/s, all of them positive or not, none of them alike."""
    return {"in.temperature": RANDOM.normal(12, 8, rows), "in.pressure": RANDOM.normal(1013, 9, rows), "in.wind": RANDOM.gamma(2, 2, rows),
            "in.rain": np.where(RANDOM.random(rows) < 0.7, 0.0, RANDOM.gamma(1, 3, rows))}  # fmt: skip


REFERENCE = Profile.of(weather(4000))


def found(change: Callable[[dict[str, Array]], dict[str, Array]], rows: int = 300) -> list[tuple[str, tuple[str, ...], str]]:
    now = weather(rows)
    return [(one.kind, one.fields, one.what) for one in suspicions(REFERENCE, Profile.of({**now, **change(now)}))]


@pytest.mark.parametrize(("field", "scale", "offset", "like"), [
    ("in.temperature", 1.8, 32.0, "Celsius -> Fahrenheit"), ("in.temperature", 1.0, 273.15, "Celsius -> kelvin"),
    ("in.wind", 3.6, 0.0, "m/s -> km/h"), ("in.pressure", 1 / 33.8639, 0.0, "hPa -> inches of mercury"),
    ("in.wind", 1000.0, 0.0, "m -> mm"),
    ("in.rain", 1 / 25.4, 0.0, "mm -> inches"), ("in.temperature", -1.0, 0.0, "turned round"),
])  # fmt: skip
def test_a_unit_is_named(field: str, scale: float, offset: float, like: str) -> None:
    ((kind, fields, what),) = found(lambda now: {field: now[field] * scale + offset})
    assert (kind, fields) == ("unit", (field,))
    assert like in what


def test_an_offset_that_no_unit_explains_is_measured() -> None:
    ((kind, _, what),) = found(lambda now: {"in.temperature": now["in.temperature"] + 20.5})
    assert kind == "moved"
    assert "higher by about 2" in what
    assert not Suspicion("moved", ("in.temperature",), what).broken and Suspicion("unit", ("in.temperature",), what).broken


def test_two_columns_that_changed_places_are_named_and_nothing_else() -> None:
    ((kind, fields, what),) = found(lambda now: {"in.temperature": now["in.wind"], "in.wind": now["in.temperature"]})
    assert (kind, set(fields)) == ("swapped", {"in.temperature", "in.wind"})
    assert what.startswith("swapped columns: in.")


def test_three_columns_that_moved_round_are_named_in_order() -> None:
    ((kind, fields, what),) = found(
        lambda now: {"in.temperature": now["in.wind"], "in.wind": now["in.pressure"], "in.pressure": now["in.temperature"]}
    )
    assert (kind, len(fields)) == ("swapped", 3)
    assert "in.temperature holds what in.wind held" in what
    assert "in.pressure holds what in.temperature held" in what


def test_columns_of_the_same_shape_are_told_by_their_digits() -> None:
    """Standardised columns lie alike; but each was measured in its own steps."""
    steps = {name: place for place, name in enumerate(("in.a", "in.b", "in.c"), 1)}

    def measured(rows: int) -> dict[str, Array]:
        return {name: np.round(RANDOM.normal(size=rows) * 9) / 9 + step / 100 for name, step in steps.items()}

    now = measured(200)
    moved = Profile.of({"in.a": now["in.b"] * 1.0, "in.b": now["in.c"], "in.c": now["in.a"], "in.far": RANDOM.normal(9, 1, 200)})
    reference = Profile.of({**measured(3000), "in.far": RANDOM.normal(0, 1, 3000)})
    assert "swapped" not in {one.kind for one in suspicions(reference, moved)}, "nothing of it drifts: nobody looks for an explanation"
    shifted = Profile.of({"in.a": now["in.b"], "in.b": now["in.c"], "in.c": np.sort(now["in.a"])[:100]})
    ((kind, fields),) = [(one.kind, set(one.fields)) for one in suspicions(reference, shifted)]
    assert (kind, fields) == ("swapped", {"in.a", "in.b", "in.c"})


def test_category_columns_that_changed_places_are_named() -> None:
    def drawn(rows: int) -> dict[str, Array]:
        return {
            "in.shop": RANDOM.choice(np.array(["north", "south"], object), rows),
            "in.day": RANDOM.choice(np.array(["mo", "tu", "we"], object), rows),
        }

    now = drawn(200)
    ((kind, fields),) = [(one.kind, set(one.fields)) for one in
                         suspicions(Profile.of(drawn(3000)), Profile.of({"in.shop": now["in.day"], "in.day": now["in.shop"]}))]  # fmt: skip
    assert (kind, fields) == ("swapped", {"in.shop", "in.day"})


@pytest.mark.parametrize(("kind", "values", "says"), [
    ("stuck", np.full(300, 7.0), "stuck at one value: 7"), ("missing", np.full(300, np.nan), "always missing"),
    ("kind", np.array(["warm"] * 300, object), "changed its kind"),
])  # fmt: skip
def test_a_field_that_says_nothing_any_more_is_named(kind: str, values: Array, says: str) -> None:
    ((got, fields, what),) = found(lambda _: {"in.temperature": values})
    assert (got, fields) == (kind, ("in.temperature",))
    assert says in what


def test_a_field_that_records_do_not_keep_is_no_suspicion() -> None:
    now = weather(300)
    del now["in.wind"]
    assert suspicions(REFERENCE, Profile.of({**now, "in.temperature": now["in.temperature"] * 1.8 + 32}))[0].kind == "unit"
    assert suspicions(REFERENCE, Profile.of(now)) == ()


def test_unknown_categories_are_named() -> None:
    names = np.array(["red", "blue"], object)
    current = np.array(["(unknown)"] * 200 + ["red"] * 50, object)
    (one,) = suspicions(Profile.of({"in.colour": RANDOM.choice(names, 2000)}), Profile.of({"in.colour": current}))
    assert (one.kind, one.what) == ("unknown", "in.colour holds unknown categories: 80% of values")


def test_calm_is_not_explained_and_a_change_of_shape_has_no_unit() -> None:
    assert found(lambda _: {}) == []
    two_humps = np.concatenate([RANDOM.normal(-30, 1, 150), RANDOM.normal(60, 1, 150)])
    assert [one for one in found(lambda _: {"in.temperature": two_humps}) if one[0] != "moved"] == []


def test_what_the_model_makes_has_no_unit_and_no_place() -> None:
    made = {name.replace("in.", "out."): values for name, values in weather(3000).items()}
    now = {name.replace("in.", "out."): values for name, values in weather(300).items()}
    moved = {**now, "out.wind": now["out.wind"] * 3.6}
    assert {one.kind for one in suspicions(Profile.of(made), Profile.of(moved))} == {"moved"}
    swapped = {**now, "out.wind": now["out.temperature"], "out.temperature": now["out.wind"]}
    assert "swapped" not in {one.kind for one in suspicions(Profile.of(made), Profile.of(swapped))}


def test_units_come_in_pairs() -> None:
    for unit in UNITS:
        assert any(abs(unit.scale * other.scale - 1) < 1e-9 and abs(other.offset + unit.offset * other.scale) < 1e-9 for other in UNITS), (
            unit
        )
