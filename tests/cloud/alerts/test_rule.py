"""Rules: what they are about, and when their condition holds."""

from __future__ import annotations

import pytest

from portside.cloud.alerts.defaults import RULES, rules_of
from portside.cloud.alerts.judging import judged, worth_telling
from portside.cloud.alerts.rule import Rule
from portside.cloud.monitor import Finding


@pytest.mark.parametrize(("rule", "finding", "verdict"), [
    (Rule("a", "a"), Finding("a", value=1.0, verdict="breach"), "breach"),
    (Rule("a", "a"), Finding("a", value=1.0, verdict="not enough data"), "not enough data"),
    (Rule("a", "a", above=2), Finding("a", value=3.0), "breach"),
    (Rule("a", "a", above=2), Finding("a", value=2.0), "ok"),
    (Rule("a", "a", above=2), Finding("a", value=3.0, low=1.5, high=4.5), "ok"),
    (Rule("a", "a", above=2), Finding("a", value=3.0, low=2.5, high=4.5), "breach"),
    (Rule("a", "a", below=2), Finding("a", value=1.0, low=0.5, high=2.5), "ok"),
    (Rule("a", "a", below=2), Finding("a", value=1.0, verdict="ok"), "breach"),
    (Rule("a", "a", below=2), Finding("a"), "not enough data"),
    (Rule("a", "a", above=2), Finding("a", value=3.0, verdict="not enough data"), "not enough data"),
], ids=range(10))  # fmt: skip
def test_a_limit_is_passed_when_the_whole_interval_lies_beyond_it(rule, finding, verdict):
    assert rule.judge(finding) == verdict


def test_subjects_are_patterns_and_each_has_an_alert_of_its_own():
    rule = Rule("inputs", when="drift", subject="in.*")
    findings = [Finding("drift", subject, 0.5, "breach") for subject in ("in.a", "in.b", "out.y")]
    alerts, events = judged({}, [rule], findings, 0, "cells")
    assert set(alerts) == {("inputs", "in.a"), ("inputs", "in.b")} and len(events) == 2


def test_the_worst_of_several_findings_about_one_subject_counts_in_any_order():
    findings = [Finding("drift", "in.a", value, verdict) for value, verdict in ((0.1, "ok"), (0.5, "breach"), (0.0, "not enough data"))]
    for some in (findings, findings[::-1]):
        alerts, _ = judged({}, [Rule("drift", "drift")], some, 0)
        assert alerts["drift", "in.a"].finding.value == 0.5


def test_what_is_old_is_told_only_where_it_still_is():
    """A monitor that was away, or begins on a database full of old records, does not tell of what is over."""
    rule, hour, alerts, events = Rule("drift", "drift", clear_s=0), 3_600_000, {}, []
    for at_ms, verdict in ((0, "breach"), (1000, "ok"), (2000, "breach"), (3000, "ok"), (4000, "breach")):
        alerts, more = judged(alerts, [rule], [Finding("drift", "in.a", 1.0, verdict)], at_ms, "cells")
        events += more
    assert worth_telling(events, 5000) == events
    assert worth_telling(events, 2 * hour) == events[-1:] and events[-1].alert.state == "firing"
    assert worth_telling(events[:2], 2 * hour) == [], "nobody was told that it began"
    assert worth_telling(events[1:2], 2 * hour) == events[1:2], "somebody was"
    assert worth_telling(events, hour + 1500) == events[2:], "news is told as it is"


def test_a_rule_of_the_file_replaces_one_and_another_can_be_switched_off():
    own = Rule("drift", when="drift", above=0.3)
    rules = rules_of([own], ["calibration"])
    assert own in rules and sum(rule.name == "drift" for rule in rules) == 1
    assert {rule.name for rule in RULES} - {rule.name for rule in rules} == {"calibration"}


def test_every_usual_alert_says_what_a_person_does_first():
    assert all(len(rule.runbook) > 40 for rule in RULES)


@pytest.mark.parametrize(("subject", "name"), [("availability over 1h", "slo-fast-burn"), ("p99_ms over 6h", "slo-fast-burn"),
                                               ("p99_ms over 3d", "slo-slow-burn")])  # fmt: skip
def test_burn_rates_wake_somebody_or_open_a_ticket(subject, name):
    assert [rule.name for rule in RULES if rule.concerns(Finding("slo", subject))] == [name]
