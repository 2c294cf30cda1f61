"""Windows: what they say of records, and the laws of merging."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.sdk.core.drift.compare import compare
from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.labels import Label
from portside.sdk.core.profile import Profile
from portside.sdk.core.quality import Quality
from portside.sdk.core.records import Record
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.window import MAX_SLICES, Window, packaged

SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 2)), TensorSpec("age", "f32", ("batch",)),
     TensorSpec("cell", "i32", ("batch",), categories=("mono", "poly"))),
    (TensorSpec("label", "i32", ("batch",), categories=("good", "bad"), kind="decision"),
     TensorSpec("defect", "f32", ("batch",), kind="score"), TensorSpec("size", "f32", ("batch",), kind="value")))  # fmt: skip


def record(name: str, rows: Sequence[tuple[float, int, int, float]], **changes: Any) -> Record:
    """A record of rows (age, cell, label, probability of a defect)."""
    ages, cells, labels, sure = (list(column) for column in zip(*rows, strict=True))
    held: dict[str, Any] = {
        "inputs": {"x": [[age, 0.1] for age in ages], "age": ages, "cell": cells},
        "outputs": {"label": labels, "defect": sure, "size": [1.0] * len(rows)},
        "receipt": {"model": "m", "reason": "primary", "time_ms": 4.0, "model_ms": 2.0, "within_deadline": True, "attempts": []},
    }
    return Record(id=name, **{"server_ms": 1000, "event_ms": 1000, "name": "defects", **held, **changes})


def summed(records: Sequence[Record], labels: Sequence[Label] = ()) -> Window:
    return Window.of(records, {label.key: label for label in labels}, signature=SIGNATURE, slices=("cell", "age<40"), confidence="defect")


ROW = st.tuples(st.sampled_from([1.0, 25.5, 60.0]), st.sampled_from([0, 1, -1]), st.sampled_from([0, 1]), st.sampled_from([0.1, 0.5, 0.95]))
RECORDS = st.lists(st.tuples(st.lists(ROW, min_size=1, max_size=3), st.integers(0, 10**6), st.booleans()), max_size=4)


def windows(drawn: list[tuple[list[tuple[float, int, int, float]], int, bool]], name: str) -> Window:
    records = [record(f"{name}{place}", rows, server_ms=at, arm="champion" if well else "fallback",
                      receipt={"model": "m" if well else "b", "reason": "primary" if well else "crashed", "time_ms": 1.0 + at % 7,
                               "model_ms": 1.0, "within_deadline": well, "attempts": [] if well else ["0:crashed"]},
                      flags=() if well else ({"field": "age", "row": 0, "why": "range", "value": 1.0},))
               for place, (rows, at, well) in enumerate(drawn)]  # fmt: skip
    return summed(records, [Label(f"l{name}{place}", one.id, 0, {"label": 1}, "ana") for place, one in enumerate(records)])


def told(window: Window) -> Any:
    """What a window says, with figures that rounding may differ in left out or rounded."""
    exact = ("deployment", "start_ms", "end_ms", "requests", "rows", "answers", "arms", "flags", "errors", "late", "classes")
    quality = {name: (one.rows, round(one.weight, 6), round(one.correct, 6), {key: dict(row) for key, row in one.confusion.items()})
               for name, one in window.quality.items()}  # fmt: skip
    fields = {name: (one.count, one.missing, one.rows, dict(one.categories), one.low, one.high, round(one.mean, 6), round(one.m2, 9),
                     one.sketch.quantiles([0.1, 0.5, 0.9]).tolist()) for name, one in sorted(window.profile.fields.items())}  # fmt: skip
    sketches = {
        name: np.nan_to_num(getattr(window, name).quantiles([0.0, 0.5, 1.0])).tolist()
        for name in ("latency", "model_latency", "confidence")
    }
    slices = {name: told(one) for name, one in window.slices.items()}
    return [{name: getattr(window, name) for name in exact}, quality, repr(fields), sketches, slices]


@settings(max_examples=12)
@given(RECORDS, RECORDS, RECORDS)
def test_merging_is_commutative_and_associative_with_an_identity(a: list, b: list, c: list) -> None:  # type: ignore[type-arg]
    one, two, three = windows(a, "a"), windows(b, "b"), windows(c, "c")
    assert told(one.merge(two)) == told(two.merge(one))
    assert told(one.merge(two).merge(three)) == told(one.merge(two.merge(three))) == told(Window.merge_all([one, two, three]))
    assert told(one.merge(Window())) == told(one) == told(Window().merge(one))


@settings(max_examples=12)
@given(RECORDS)
def test_json_round_trip(drawn: list) -> None:  # type: ignore[type-arg]
    window = windows(drawn, "a")
    assert Window.from_dict(json.loads(json.dumps(window.to_dict()))).to_dict() == window.to_dict()


def test_windows_of_parts_merge_to_the_window_of_the_whole() -> None:
    random = np.random.default_rng(0)
    records = [record(f"r{place}", [(float(random.integers(0, 90)), place % 2, int(random.integers(0, 2)), float(random.random()))])
               for place in range(600)]  # fmt: skip
    whole, parts = summed(records), Window.merge_all([summed(records[start : start + 100]) for start in range(0, 600, 100)])
    assert (whole.rows, whole.requests, whole.classes) == (parts.rows, parts.requests, parts.classes)
    assert parts.slices["cell=poly"].rows == whole.slices["cell=poly"].rows == 300
    ages = [one.profile.fields["in.age"].sketch for one in (whole, parts)]
    places = np.arange(0.0, 90.0)
    assert np.abs(ages[0].shares(places) - ages[1].shares(places)).max() <= ages[0].error + ages[1].error + 1e-9


def test_what_a_window_says() -> None:
    late = {"model": "b", "reason": "deadline", "time_ms": 80.0, "model_ms": 3.0, "within_deadline": False, "attempts": ["0:deadline"]}
    flags = ({"field": "age", "row": 1, "why": "range", "value": 300.0}, {"field": "cell", "row": None, "why": "absent", "value": None})
    records = [record("r1", [(30.0, 0, 0, 0.1), (300.0, 1, 1, 0.9)], flags=flags),
               record("r2", [(50.0, 1, 1, 0.8)], receipt=late, arm="fallback")]  # fmt: skip
    labels = [Label("l1", "r1", 1, {"label": 0, "size": 1.5}, "ana"), Label("l2", "r2", 0, {"label": 1}, "ana"),
              Label("l3", "other", 0, {"label": 1}, "ana")]  # fmt: skip
    window = summed(records, labels)
    assert (window.deployment, window.start_ms, window.end_ms) == ("defects", 1000, 1001)
    assert (window.requests, window.rows, window.late) == (2, 3, 1)
    assert window.answers == {"m|primary": 1, "b|deadline": 1}
    assert window.arms == {"champion": 1, "fallback": 1}
    assert window.errors == {"0:deadline": 1}
    assert window.flags == {"age|range": 1, "cell|absent": 1}
    assert window.classes == {"label": {"bad": 2, "good": 1}}
    assert list(window.profile.fields) == ["in.x[0]", "in.x[1]", "in.age", "in.cell", "out.label", "out.defect", "out.size"]
    assert window.profile.fields["in.cell"].categories == {"mono": 1, "poly": 2}
    assert window.latency.quantiles([0.0, 1.0]).tolist() == [4.0, 80.0]
    assert window.confidence.quantiles([0.0, 1.0]).tolist() == pytest.approx([0.8, 0.9]), "p = 0.1 of a defect is as sure as 0.9"
    assert window.quality["label"].confusion == {"good": {"bad": 1.0}, "bad": {"bad": 1.0}}
    assert window.quality["size"].mean_error().value == pytest.approx(0.5)
    assert {name: one.rows for name, one in window.slices.items()} == {"cell=mono": 1, "cell=poly": 2, "age<40": 1, "age>=40": 2}
    poly = window.slices["cell=poly"]
    assert (poly.requests, poly.quality["label"].rows, poly.flags) == (2, 2, {"age|range": 1, "cell|absent": 1})
    assert window.slices["cell=mono"].quality == {}


def test_labels_that_come_later_are_merged_in_and_corrections_taken_back() -> None:
    records = [record(f"r{place}", [(30.0, 0, 1, 0.9)]) for place in range(4)]
    labels = [Label(f"l{place}", f"r{place}", 0, {"label": 1}, "ana") for place in range(4)]
    first, later = summed(records, labels[:2]), {label.key: label for label in labels[2:]}
    known: dict[str, Any] = {"signature": SIGNATURE, "slices": ("cell",), "confidence": "defect"}
    window = first.merge(Window.judged(records, later, **known))
    assert told(window)[1] == told(summed(records, labels))[1]
    assert (window.requests, window.slices["cell=mono"].quality["label"].rows) == (4, 4)
    wrong = Window.judged(records[3:], {labels[3].key: labels[3]}, **known).quality["label"]
    right = Window.judged(records[3:], {labels[3].key: Label("l9", "r3", 0, {"label": 0}, "ben")}, **known).quality["label"]
    corrected = Quality.merge_all([window.quality["label"], wrong.times(-1), right])
    assert corrected.confusion == {"bad": {"bad": 3.0}, "good": {"bad": 1.0}}


def test_reviewed_rows_count_for_as_many_as_they_stand_for() -> None:
    one, two = record("r1", [(30.0, 0, 1, 0.9)], selection=0.1), record("r2", [(30.0, 0, 1, 0.9)], selection=0.1)
    window = summed(
        [one, two], [Label("l1", "r1", 0, {"label": 1}, "ana", source="check"), Label("l2", "r2", 0, {"label": 1}, "s", source="api")]
    )
    assert window.quality["label"].weight == pytest.approx(11)


def test_fields_that_records_do_not_hold_are_not_there() -> None:
    held = record("r1", [(30.0, 0, 1, 0.9)])
    hidden = record("r2", [(50.0, 1, 1, 0.8), (51.0, 1, 1, 0.8)], inputs={"x": {"redacted": True}, "age": [50.0, 51.0], "cell": [1, 1],
                    "photo": {"shape": [2, 300, 300], "dtype": "uint8", "sha256": ""}})  # fmt: skip
    window = summed([held, hidden])
    assert (window.rows, window.profile.fields["in.x[0]"].count, window.profile.fields["in.age"].count) == (3, 1, 3)
    assert "in.photo" not in window.profile.fields
    assert window.slices["cell=poly"].rows == 2


def test_traits_and_features_are_fields_and_wide_features_are_seen_along_fixed_directions() -> None:
    features = {
        "traits": {"photo.brightness": [0.2, None]},
        "features": {"pooled": np.ones((2, 1280)).tolist(), "few": [[1.0, 2.0], [3.0, 4.0]]},
    }
    window = summed([record("r1", [(30.0, 0, 1, 0.9), (31.0, 0, 1, 0.9)], features=features)])
    assert window.profile.fields["trait.photo.brightness"].missing == 1
    assert [name for name in window.profile.fields if "few" in name] == ["feature.few[0]", "feature.few[1]"]
    wide = [window.profile.fields[name] for name in window.profile.fields if "pooled" in name]
    assert len(wide) == 16
    assert wide[0].mean == pytest.approx(0.61492, abs=1e-4), "the directions are the same on every machine and with every numpy"


def test_a_slice_with_many_values_keeps_the_frequent_ones() -> None:
    signature = Signature((TensorSpec("n", "i64", ("batch",)),), ())
    records = [Record(f"r{place}", 0, 0, inputs={"n": [place // 2 if place > 20 else 0]}) for place in range(200)]
    window = Window.of(records, signature=signature, slices=("n",))
    assert len(window.slices) == MAX_SLICES
    assert window.slices["n=0"].rows == 21
    assert sum(one.rows for one in window.slices.values()) == 200
    assert len(window.merge(window).slices) == MAX_SLICES


def test_infinities_and_missing_numbers_come_back_from_json() -> None:
    window = Window.of([Record("r", 0, 0, inputs={"x": [1.5, None, "inf", "-inf"]})])
    held = window.profile.fields["in.x"]
    assert (held.count, held.missing, held.finite) == (4, 1, 1)


def test_numbers_are_those_that_the_model_saw() -> None:
    """JSON writes the shortest text of a float32; in the package's profile stands its exact value."""
    value = np.float32(0.1)
    reference = packaged(Profile.of({"age": np.array([value])}, SIGNATURE), SIGNATURE)
    window = summed([record("r", [(float(str(value)), 0, 1, 0.9)])])
    assert window.profile.fields["in.age"].low == reference.fields["in.age"].low != 0.1


def test_a_package_profile_gets_the_names_of_windows() -> None:
    profile = Profile.of({"x": np.zeros((3, 2)), "age": np.zeros(3), "defect": np.zeros(3)}, SIGNATURE)
    assert list(packaged(profile, SIGNATURE).fields) == ["in.x[0]", "in.x[1]", "in.age", "out.defect"]


def test_what_somebody_wrote_is_not_kept_and_does_not_drift() -> None:
    """A text that is too long to name something counts among the others, in a window and in the profile that it is held against."""
    signature = Signature((TensorSpec("mail", "string", ("batch",)),), (TensorSpec("spam", "i64", ("batch",), kind="decision"),))
    mails = [f"Dear customer {place}, " + "your bill has not been paid. " * 3 for place in range(300)]
    reference = packaged(Profile.of({"mail": np.array(mails, object)}, signature), signature)
    written = [*(f"{mail}!" for mail in mails[:60]), "ok"]
    window = Window.of([Record(f"r{place}", 0, 0, inputs={"mail": [mail]}) for place, mail in enumerate(written)])
    assert window.profile.fields["in.mail"].categories == {"(other)": 60, "ok": 1} and "Dear" not in json.dumps(window.to_dict())
    assert compare(reference, window.profile).verdict == "stable"


def test_flat_profiles_hold_slices_beside_the_whole() -> None:
    flat = summed([record("r1", [(30.0, 0, 0, 0.1), (50.0, 1, 1, 0.9)])]).flat()
    assert flat.fields["in.age"].count == 2
    assert flat.fields["in.age @ cell=poly"].count == 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="two deployments"):
        Window("a").merge(Window("b"))
    with pytest.raises(InputError, match="one value a row"):
        Window.of([record("r", [(1.0, 0, 0, 0.5)])], signature=SIGNATURE, slices=("x",))
    for wrong in ({"profile": []}, {"latency": {}}, {"quality": {"a": 1}}):
        with pytest.raises(FormatError, match="no window"):
            Window.from_dict(wrong)
    assert Window.of([]).to_dict() == Window().to_dict() == {}
