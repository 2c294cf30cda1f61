"""What the dashboard is made of: spans in steps, answers that are kept, a field's shape, accuracy with what stands behind it."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.dashboard.changed import changed
from portside.cloud.dashboard.feature import BINS, feature
from portside.cloud.dashboard.kept import Kept
from portside.cloud.dashboard.right import right
from portside.cloud.dashboard.spans import MINUTE, SPANS, longest
from portside.cloud.dashboard.up import up, who
from portside.sdk.core.profile import Profile, Summary
from portside.sdk.core.quality import Quality
from portside.sdk.core.sketch import Sketch
from portside.sdk.core.window import Window

CUT = SPANS["1h"].cut(10_000_000_000)


@given(st.sampled_from(list(SPANS.values())), st.integers(10**12, 2 * 10**12), st.sampled_from([0, MINUTE, 7 * MINUTE, 60 * MINUTE]))
def test_a_span_ends_with_the_step_that_now_is_in(span, now_ms, longest_ms):
    cut = span.cut(now_ms, longest_ms)
    assert cut.starts[-1] <= now_ms < cut.end_ms and cut.step_ms >= max(span.step_ms, longest_ms)
    assert all(start % cut.step_ms == 0 for start in cut.starts) and len({*np.diff(cut.starts)} - {cut.step_ms}) == 0
    assert span.ms <= cut.end_ms - cut.start_ms < span.ms + 2 * cut.step_ms


@given(st.lists(st.integers(-10, 80), max_size=40))
def test_windows_are_sorted_into_the_steps_they_begin_in(minutes):
    windows = [
        Window(start_ms=CUT.start_ms + minute * MINUTE, end_ms=CUT.start_ms + (minute + 1) * MINUTE, requests=1) for minute in minutes
    ]
    sorted_ = CUT.sort(windows)
    assert [len(part) for part in sorted_] == [minutes.count(place) for place in range(60)]
    assert longest(windows) == (MINUTE if windows else 0)


def test_an_answer_is_made_once_for_many_and_again_when_it_is_old():
    clock, made = [0.0], []
    kept = Kept(most=2, clock=lambda: clock[0])
    make = lambda: made.append(1) or len(made)  # noqa: E731
    threads = [threading.Thread(target=kept.get, args=("a", 5.0, make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.get("a", 5.0, make) == 1
    clock[0] = 5.0
    assert kept.get("a", 5.0, make) == 2
    kept.get("b", 5.0, make), kept.get("c", 5.0, make)
    assert kept.get("a", 5.0, make) == 5, "the oldest left"
    with pytest.raises(ZeroDivisionError):
        kept.get("d", 5.0, lambda: 1 / 0)
    assert kept.get("d", 5.0, make) == 6, "what failed is made again"


NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")) | st.just(3.0), max_size=60)


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_bins_hold_every_value_of_both_sides(reference, now):
    sides = [Summary.of(np.array(values, np.float64)) for values in (reference, now)]
    shown = feature("in.x", *(side if side.count else None for side in sides), [sides[1]] * 60, CUT)
    for key, side in zip(("reference", "now"), sides, strict=True):
        shares = [held[key] for held in shown["bins"] if held[key] is not None]
        assert (len(shares) == BINS and abs(sum(shares) - 1) < 1e-9) if side.finite else not shares
    assert len(shown["points"]) == 60 and (shown["now"] or {}).get("missing", 0.0) <= 1.0


@given(
    st.dictionaries(st.text(max_size=5), st.integers(1, 100), max_size=40),
    st.dictionaries(st.text(max_size=5), st.integers(1, 100), max_size=40),
)
def test_categories_add_up_on_both_sides(reference, now):
    sides = [Summary(count=sum(held.values()), categories=held) if held else None for held in (reference, now)]
    shown = feature("in.c", *sides, [None] * 60, CUT)
    if shown["kind"] == "numbers":
        assert not reference and not now
        return
    for key, held in (("reference", reference), ("now", now)):
        shares = [line[key] for line in shown["categories"] if line[key] is not None]
        assert abs(sum(shares) - 1) < 1e-9 if held else not shares
    assert len(shown["categories"]) <= 21


def test_up_and_who_tell_totals_and_steps():
    window = Window(
        requests=10,
        rows=12,
        late=1,
        arms={"champion": 8, "fallback": 2},
        answers={"main|primary": 8, "b|deadline": 2},
        errors={"0:deadline": 2},
        latency=Sketch.of(np.arange(1.0, 101.0)),
    )
    steps = [Window()] * 59 + [window]
    shown = up(window, steps, CUT)
    assert (shown["requests"], shown["late"], shown["fallback"], len(shown["points"])) == (10, 1, 2, 60)
    assert shown["latency"] == {"p50": 50.0, "p95": 95.0, "p99": 99.0} and shown["points"][0]["p50"] is None
    assert shown["attempts"] == [{"entry": 0, "reason": "deadline", "count": 2}]
    answers = who(window, steps, CUT)["answers"]
    assert [(one["model"], one["reason"], one["share"]) for one in answers] == [("main", "primary", 0.8), ("b", "deadline", 0.2)]


def test_accuracy_comes_with_its_labels_and_its_interval():
    quality = Quality.of([1, 0, 1, 1], [1, 1, 1, 0], confidence=[0.9, 0.8, 0.7, 0.6])
    window = Window(rows=40, quality={"label": quality}, slices={"sky=fog": Window(rows=4)})
    shown = right(window, [Window()] * 59 + [window], CUT)
    (held,) = shown["outputs"]
    assert (held["labelled"], held["coverage"], held["figure"]["value"]) == (4, 0.1, 0.5) and 0 < held["figure"]["low"] < 0.5 < held[
        "figure"
    ]["high"] < 1
    assert held["points"][0] == {"t": CUT.start_ms, "rows": 0} and held["points"][-1]["rows"] == 4
    assert held["step_ms"] == 12 * CUT.step_ms and len(held["points"]) == 5, "few labels are shown in longer steps"
    assert held["confusion"] == {"classes": ["0", "1"], "more": 0, "rows": [[0.0, 1.0], [1.0, 2.0]]}
    assert sum(part["weight"] for part in held["calibration"]["bins"]) == 4 and shown["slices"][0]["name"] == "sky=fog"
    assert right(Window(rows=3), [Window()] * 60, CUT)["outputs"] == []


def test_measured_outputs_are_off_by_so_much():
    quality = Quality.of([1.0, 2.0, 3.0], [1.5, 2.0, 2.0], named=False)
    (held,) = right(Window(rows=3, quality={"price": quality}), [Window()] * 60, CUT)["outputs"]
    assert held["measured"] and held["figure"]["value"] == pytest.approx(0.5) and held["confusion"] is None and held["calibration"] is None


def test_what_changed_is_held_against_the_reference_or_says_why_not():
    calm, moved = (Profile.of({"in.x": np.random.default_rng(1).normal(shift, 1, 4000)}) for shift in (0.0, 3.0))
    found = changed(Window(rows=4000, profile=moved), calm, "the training data")
    assert found["verdict"] == "drift" and found["fields"][0]["field"] == "in.x" and found["fields"][0]["effect"]["low"] > 0.5
    assert changed(Window(rows=4000, profile=calm), calm, "the training data")["verdict"] == "stable"
    small = Profile.of({"in.x": np.zeros(5)})
    assert changed(Window(rows=5, profile=small), calm, "the training data")["verdict"] == "not enough data"
    nothing = changed(Window(rows=5, profile=small), None, "no profile")
    assert nothing["verdict"] is None and nothing["why"] == "no profile" and nothing["fields"] == [{"field": "in.x", "kind": "number"}]
