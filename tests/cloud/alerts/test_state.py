"""Alerts as a state machine: every transition, and what damping promises whatever a signal does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from math import log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.alerts.rule import Rule
from portside.cloud.alerts.state import MOST_DOUBLINGS, Alert, Event, advance, hold_s, settle
from portside.cloud.monitor import Finding, Verdict

RULE = Rule("drift", when="drift", for_s=60, clear_s=100)
BAD, GOOD, UNKNOWN = "breach", "ok", "not enough data"
S = 1000


def found(verdict: Verdict, **more: Any) -> Finding:
    return Finding("drift", "in.x", 0.4, verdict, f"it is {verdict}", **more)


def walk(steps: Iterable[tuple[int, Verdict]], rule: Rule = RULE, alert: Alert | None = None) -> tuple[Alert | None, list[Event]]:
    """The alert and what was told after (second, verdict) steps."""
    told = list[Event]()
    for second, verdict in steps:
        for step in (settled, found_it, settled):
            alert, event = step(alert, rule, verdict, second * S)
            told += [event] if event else []
    return alert, told


def settled(alert: Alert | None, rule: Rule, _: Verdict, now_ms: int) -> tuple[Alert | None, Event | None]:
    return (None, None) if alert is None else settle(alert, rule, now_ms)


def found_it(alert: Alert | None, rule: Rule, verdict: Verdict, now_ms: int) -> tuple[Alert | None, Event | None]:
    return advance(alert, rule, found(verdict), now_ms, "cells")


def test_it_is_pending_until_it_has_held_long_enough_then_fires_once():
    alert, told = walk([(0, BAD), (30, BAD)])
    assert alert is not None and alert.state == "pending" and told == []
    alert, told = walk([(0, BAD), (30, BAD), (60, BAD), (90, BAD)])
    assert alert is not None and alert.state == "firing" and alert.since_ms == 60 * S and alert.began_ms == 0
    assert [(event.alert.state, event.at_ms) for event in told] == [("firing", 60 * S)]


def test_what_does_not_hold_is_forgotten():
    assert walk([(0, BAD), (30, GOOD)]) == (None, [])
    alert, told = walk([(0, BAD), (30, GOOD), (40, BAD), (90, BAD)])
    assert alert is not None and alert.state == "pending" and alert.began_ms == 40 * S and told == []


def test_it_is_resolved_when_it_has_been_well_for_long_enough():
    alert, told = walk([(0, BAD), (60, BAD), (70, GOOD), (100, GOOD), (170, GOOD)])
    assert [event.alert.state for event in told] == ["firing", "resolved"] and told[1].at_ms == 170 * S
    assert alert is not None and alert.state == "resolved" and alert.firings == (60 * S,)


def test_it_is_resolved_by_the_clock_when_nothing_more_is_found():
    alert, _ = walk([(0, BAD), (60, BAD), (70, GOOD)])
    assert alert is not None and settle(alert, RULE, 169_999) == (alert, None)
    ended, event = settle(alert, RULE, 900_000)
    assert event is not None and ended.state == "resolved" and event.at_ms == ended.since_ms == 170 * S, "at the moment, whenever one looks"
    assert walk([(900, BAD)], alert=alert)[1][0].alert.state == "resolved", "it has ended, and this is another episode"


def test_a_relapse_within_the_time_begins_the_wait_anew():
    alert, told = walk([(0, BAD), (60, BAD), (70, GOOD), (100, BAD), (110, GOOD), (180, GOOD)])
    assert alert is not None and alert.state == "firing" and len(told) == 1
    assert walk([(210, GOOD)], alert=alert)[1][0].alert.state == "resolved"


@pytest.mark.parametrize("steps", [[], [(0, BAD)], [(0, BAD), (60, BAD)], [(0, BAD), (60, BAD), (70, GOOD), (170, GOOD)]])
def test_not_enough_data_changes_nothing_in_any_state(steps):
    alert, _ = walk(steps)
    assert walk([(500, UNKNOWN), (5000, UNKNOWN)], alert=alert) == (alert, [])


def test_without_a_duration_it_fires_at_once_and_says_what_was_found():
    rule = replace(RULE, for_s=0, severity="critical", runbook="call Ana")
    alert, event = advance(None, rule, found(BAD), 5, "cells")
    assert alert is not None and event is not None and event.alert == alert
    assert (alert.state, alert.severity, alert.runbook, alert.finding.what) == ("firing", "critical", "call Ana", "it is breach")
    assert (alert.deployment, alert.name, alert.subject) == ("cells", "drift", "in.x")


def test_the_same_happening_has_the_same_ids_and_another_episode_has_others():
    steps = [(0, BAD), (60, BAD), (70, GOOD), (170, GOOD)]
    assert [event.id for event in walk(steps)[1]] == [event.id for event in walk(steps)[1]]
    alert, first = walk(steps)
    _, second = walk([(1000, BAD), (1060, BAD)], alert=alert)
    assert len({event.id for event in (*first, *second)}) == 3 and second[0].alert.id != first[0].alert.id


def test_each_return_doubles_the_time_for_which_it_must_be_well():
    assert [hold_s(RULE, count) for count in (0, 1, 2, 3, 4)] == [100, 100, 200, 400, 800]
    assert hold_s(RULE, 1000) == 100 * 2**MOST_DOUBLINGS
    rule, alert = replace(RULE, for_s=0), None
    for begin, wait in ((0, 100), (1000, 200), (2000, 400)):
        alert, _ = walk([(begin, BAD), (begin + 1, GOOD), (begin + wait, GOOD)], rule, alert)
        assert alert is not None and alert.state == "firing"
        alert, told = walk([(begin + wait + 1, GOOD)], rule, alert)
        assert [event.alert.state for event in told] == ["resolved"]
    assert alert is not None and alert.flapping


def test_old_firings_are_forgotten():
    rule = replace(RULE, for_s=0, memory_s=1000)
    alert, _ = walk([(0, BAD), (1, GOOD), (101, GOOD), (200, BAD), (201, GOOD), (401, GOOD)], rule)
    alert, _ = walk([(5000, BAD), (5001, GOOD), (5101, GOOD)], rule, alert)
    assert alert is not None and alert.state == "resolved" and not alert.flapping


VERDICTS = st.lists(st.tuples(st.integers(1, 400), st.sampled_from([BAD, GOOD, UNKNOWN])), max_size=200)


@given(VERDICTS, st.sampled_from([0.0, 60.0]))
def test_whatever_a_signal_does_firing_and_resolved_take_turns_and_nothing_is_told_twice(steps, for_s):
    moments, second = [], 0
    for wait, verdict in steps:
        second += wait
        moments.append((second, verdict))
    _, told = walk(moments, replace(RULE, for_s=for_s))
    states = [event.alert.state for event in told]
    assert states == ["firing", "resolved"] * (len(states) // 2) + ["firing"] * (len(states) % 2)
    assert len({event.id for event in told}) == len(told)
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(told))


@given(st.lists(st.sampled_from([BAD, GOOD]), min_size=1, max_size=800), st.integers(1, 60))
def test_what_is_told_grows_with_the_logarithm_of_the_time(verdicts, every):
    """Damped: within the rule's memory at most two events for each doubling of the wait, and those of the longest wait."""
    rule = replace(RULE, for_s=0, memory_s=1e9)
    _, told = walk([(place * every, verdict) for place, verdict in enumerate(verdicts)], rule)
    seconds = len(verdicts) * every
    bound = 2 * (log2(seconds / rule.clear_s + 1) + 1) + 2 * seconds / (rule.clear_s * 2**MOST_DOUBLINGS)
    assert len(told) <= bound + 1


@given(VERDICTS)
def test_json_both_ways(steps):
    alert, _ = walk([(place * 50, verdict) for place, (_, verdict) in enumerate(steps)])
    assert alert is None or Alert.from_dict(alert.to_dict()) == alert
