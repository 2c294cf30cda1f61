"""A monitor with a clock that is set: what is found, what is told, on what evidence; on both databases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from watched import HOUR, MINUTE, NAME, START, Watch, about, labelled, number, record, stream, write

from portside.cloud.monitoring import reading
from portside.cloud.monitoring.levels import DAY_MS
from portside.sdk.core.profile import Profile

SPANS = {"rows": 100, "minutes": 60}
DRIFT = {"looks_a_month": 1000}


def names(events):
    return [(event.alert.name, event.alert.subject, event.alert.state) for event in events]


def test_a_calm_stream_raises_nothing(quick):
    watch = Watch(quick, about(spans=SPANS, drift=DRIFT, slo={"p99_ms": 20.0, "availability": 0.999}))
    write(quick, stream(1200))
    assert watch.until(START + 30 * MINUTE) == []
    found = {finding.name: finding.verdict for finding in reading.findings(quick, NAME)}
    assert found["drift-fields"] == found["slo"] == "ok" and len(reading.found(quick, NAME, "drift-fields")) == 10


def test_a_moved_field_is_told_once_with_its_plot_and_records_that_show_it_and_its_end_too(database):
    watch = Watch(database, about(spans=SPANS, drift=DRIFT))
    write(database, [*stream(600), *stream(600, start=600, shift=3.0), *stream(6000, start=1200)])
    told = watch.until(START + 3 * HOUR, 15 * MINUTE)
    drift = [event for event in told if event.alert.name == "drift"]
    assert names(drift) == [("drift", "in.x", "firing"), ("drift", "in.x", "resolved")]
    fired = drift[0].alert
    assert START + 10 * MINUTE < fired.since_ms <= START + 13 * MINUTE, "within two spans"
    assert fired.finding.value > 0.6 and fired.finding.low is not None and fired.finding.low > 0.05 and fired.runbook
    plot = fired.finding.evidence["plot"]
    assert plot["kind"] == "histogram" and len(plot["edges"]) == len(plot["reference"]) + 1
    assert sum(plot["current"]) == pytest.approx(1) and sum(plot["reference"]) == pytest.approx(1)
    shown = [reading_of(database, one) for one in fired.finding.evidence["records"]]
    assert len(shown) == 8 and min(shown) > 1.7, "those that lie outside of what is usual"
    assert reading.alerts(database, NAME, "firing") == []


def reading_of(database, one):
    from portside.cloud.records.reading import find

    found = find(database, one)
    assert found is not None
    return found.inputs["x"][0]


def test_a_unit_that_changed_is_named(quick):
    watch = Watch(quick, about(spans=SPANS, drift=DRIFT))
    draws = np.random.default_rng(3).normal(size=600)
    moved = [record(300 + place, START + (300 + place) * 1000, float(value) * 1000, place % 2) for place, value in enumerate(draws)]
    write(quick, [*stream(300), *moved])
    told = [event for event in watch.until(START + 20 * MINUTE) if event.alert.name == "input-broken"]
    assert len(told) == 1 and told[0].alert.severity == "critical" and "1000" in told[0].alert.finding.what


def test_the_reference_can_be_the_days_before(quick):
    """No profile: what was usual is what was."""
    known = replace(about(spans=SPANS, drift=DRIFT, reference=2), profile=None)
    watch = Watch(quick, known)
    write(quick, [*stream(1500), *stream(300, start=1500, shift=3.0)])
    told = watch.until(START + 40 * MINUTE)
    assert ("drift", "in.x", "firing") in names(told) and all(event.at_ms > START + 25 * MINUTE for event in told)


def test_the_reference_can_be_the_first_spans_and_what_they_do_is_tolerated(quick):
    known = replace(about(spans=SPANS, drift={**DRIFT, "learn": 8}, reference="early"), profile=None)
    watch = Watch(quick, known)
    write(quick, [*stream(2000), *stream(400, start=2000, shift=3.0)])
    told = watch.until(START + 50 * MINUTE)
    assert [event.alert.subject for event in told if event.alert.name == "drift"] == ["in.x"]
    assert all(event.at_ms > START + 33 * MINUTE for event in told)


def test_a_shift_within_a_slice_is_found_in_the_slice(quick):
    """Half of the rows move a little, and only those of one slice."""
    settings = {"spans": {"rows": 400, "minutes": 60}, "drift": {**DRIFT, "learn": 4}, "reference": "early", "slices": ["cell"]}
    watch = Watch(quick, replace(about(**settings), profile=None))
    moved = [replace(one, inputs={**one.inputs, "x": [one.inputs["x"][0] + 1.5 * one.inputs["cell"][0]]})
             for one in stream(1600, start=2400)]  # fmt: skip
    write(quick, [*stream(2400), *moved])
    subjects = {event.alert.subject for event in watch.until(START + 90 * MINUTE) if event.alert.name == "drift"}
    assert "in.x @ cell=poly" in subjects and "in.x @ cell=mono" not in subjects


def test_accuracy_falls_below_its_limit_with_coverage_beside_it(database):
    watch = Watch(database, about(quality={"label": {"min_accuracy": 0.9, "max_calibration_error": 0.1}}, drift={"enabled": False}))
    write(database, stream(600))
    watch.until(START + 11 * MINUTE)
    labelled(database, range(200), [place % 2 for place in range(200)])
    assert watch.until(START + 13 * MINUTE) == []
    labelled(database, range(200, 400), [1 - place % 2 for place in range(200, 400)])
    told = watch.until(START + 15 * MINUTE)
    assert ("quality", "label", "firing") in names(told)
    alert = next(event.alert for event in told if event.alert.name == "quality")
    assert alert.finding.value == pytest.approx(0.5) and alert.finding.evidence["coverage"] == pytest.approx(2 / 3)
    assert alert.finding.evidence["plot"]["confusion"] == {name: {"bad": 100.0, "good": 100.0} for name in ("bad", "good")}


def test_errors_that_become_frequent_are_found_by_few_labels_and_years_of_calm_raise_nothing(quick):
    """80 labels would not do for the accuracy of a week; the evidence needs them in a row."""
    watch = Watch(quick, about(quality={"label": {"min_accuracy": 0.9}}, drift={"enabled": False}))
    write(quick, stream(1000))
    watch.until(START + 20 * MINUTE, HOUR)
    errors = np.random.default_rng(0).random(1000) < np.where(np.arange(1000) < 800, 0.07, 0.6)
    told = []
    for begin in range(0, 1000, 40):
        labelled(quick, range(begin, begin + 40), [(place % 2) ^ int(errors[place]) for place in range(begin, begin + 40)])
        told += [(begin, event) for event in watch.at(watch.now + MINUTE).events if event.alert.name == "performance"]
    assert len(told) == 1 and 800 <= told[0][0] <= 880 and told[0][1].alert.subject == "label"
    labelled(quick, range(999, 900, -1), 0, kind="correction", at_ms=START + 9)
    assert watch.at(watch.now + MINUTE).acted


def test_few_labels_are_not_enough_data(quick):
    watch = Watch(quick, about(quality={"label": {"min_accuracy": 0.9}}, drift={"enabled": False}))
    write(quick, stream(300))
    labelled(quick, range(50), [1 - place % 2 for place in range(50)])
    assert {event.alert.name for event in watch.until(START + 8 * MINUTE)} == {"performance"}, "which needs no fixed number of labels"
    assert {finding.verdict for finding in reading.findings(quick, NAME, "quality")} == {"not enough data"}


def test_slow_answers_burn_the_budget_and_stop_burning(quick):
    watch = Watch(quick, about(slo={"p99_ms": 20.0}, drift={"enabled": False}))
    write(quick, [record(place, START + place * 1000, time_ms=90.0 if 1200 <= place < 1800 else 5.0) for place in range(4000)])
    told = [*watch.until(START + 19 * MINUTE, HOUR), *watch.until(START + 26 * MINUTE, MINUTE), *watch.until(START + 65 * MINUTE)]
    burnt = [event for event in told if event.alert.name == "slo-fast-burn"]
    assert {event.alert.subject for event in burnt} <= {"p99_ms over 1h", "p99_ms over 6h"}
    burnt = [event for event in burnt if event.alert.subject == "p99_ms over 1h"]
    assert [event.alert.state for event in burnt] == ["firing", "resolved"]
    assert START + 20 * MINUTE < burnt[0].at_ms < START + 26 * MINUTE
    assert burnt[0].alert.severity == "critical"


@pytest.mark.slow
@pytest.mark.long
def test_a_month_of_minutes_of_one_deployment_is_read_in_a_moment(quick):
    """Days stand for hours: what is read for 30 days is 30 rows and some."""
    watch = Watch(quick, about(drift={"enabled": False}))
    write(quick, stream(3000, seconds=864))
    watch.at(START + 31 * DAY_MS)
    windows = reading.windows_between(quick, NAME, START, START + 31 * DAY_MS)
    assert sum(window.requests for window in windows) == 3000 and len(windows) < 31 + 24 + 60


def test_figures_and_status_say_what_is_known(quick):
    watch = Watch(quick, about(spans=SPANS, drift=DRIFT, slo={"availability": 0.999}, slices=["cell"]))
    write(quick, [*stream(300), record(900, START + 290_000, flags=({"field": "x", "why": "range", "row": 0},))])
    watch.until(START + 6 * MINUTE)
    status = reading.latest(quick, NAME)
    assert status.monitored and status.last_hour.requests == 301 and status.alerts == []
    gauges = status.gauges
    assert gauges["portside_monitor_window_requests"] == {"{}": 301.0}
    assert gauges["portside_monitor_flagged_rows"] == {'{"field": "x", "why": "range"}': 1.0}
    assert sum(gauges["portside_monitor_class_share"].values()) == pytest.approx(1.0)
    assert {'{"subject": "availability over 1h"}', '{"subject": "availability over 3d"}'} <= gauges["portside_monitor_slo_burn_rate"].keys()
    assert gauges["portside_monitor_up"] == {"{}": 1.0}
    assert gauges["portside_monitor_drift"].keys() == {'{"subject": "in.x"}', '{"subject": "in.cell"}', '{"subject": "out.label"}',
                                                       '{"subject": "out.score"}'}  # fmt: skip


def test_another_package_begins_to_judge_anew(quick):
    known = about(spans=SPANS, drift=DRIFT)
    watch = Watch(quick, known)
    write(quick, stream(600, shift=3.0))
    watch.until(START + 5 * MINUTE)
    trained = Profile.of({"x": np.random.default_rng(0).normal(size=4000) + 3.0})
    moved = replace(known, digest="sha256:new", profile=Profile({**known.profile.fields, "in.x": trained.fields["x"]}))
    again = Watch(quick, moved)
    again.now = watch.now
    again.until(START + 12 * MINUTE)
    newest = reading.found(quick, NAME, "drift-fields")[0]
    assert newest.finding.verdict == "ok"


def test_a_record_that_nothing_can_be_made_of_stops_nobody(quick):
    """Odd values: text where numbers were, rows that differ, nothing at all."""
    watch = Watch(quick, about(spans=SPANS, drift=DRIFT))
    odd = [record(900, START + 1000, inputs={"x": ["a"], "cell": [7]}), record(901, START + 2000, inputs={}, outputs={}),
           record(902, START + 3000, inputs={"x": [1.0, 2.0], "cell": [0]}), record(903, START + 4000, receipt={})]  # fmt: skip
    write(quick, [*odd, *stream(300)])
    watch.until(START + 8 * MINUTE)
    assert reading.latest(quick, NAME).last_hour.requests == 304


def test_numbers_tell_records_apart():
    assert len({number(place) for place in range(1000)}) == 1000
