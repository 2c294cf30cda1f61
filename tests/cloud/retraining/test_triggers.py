"""Triggers: each asks for its own reason, once; what asks waits for labels, for the last run, and for a candidate that is being tried."""

import doctest
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.releasing import gates
from portside.cloud.retraining import triggers as module
from portside.cloud.retraining.triggers import DAY_MS, HOUR_MS, Fired, Past, Seen, Settings, due, triggers

ALL = Settings(("drift",), 500, 30 * DAY_MS, ("backbone:prod",), 100, DAY_MS)
NOW = 1000 * DAY_MS
QUIET = Seen(NOW, labels=3, rows=900, first_ms=NOW - DAY_MS, upstream={"backbone:prod": "sha256:" + "a" * 64})
PAST = Past(NOW - 2 * DAY_MS, NOW - 2 * DAY_MS, frozenset({"old"}), dict(QUIET.upstream))


@pytest.mark.parametrize(("changed", "kind", "words"), [
    ({"alerts": (Fired("new", "drift", "in.x", NOW - 3 * HOUR_MS),)}, "alert", "drift fires for in.x, since 3 hours"),
    ({"labels": 500}, "labels", "500 labels came since, 500 ask for it"),
    ({"now_ms": NOW + 29 * DAY_MS}, "schedule", "31 days have passed, 30 days ask for it"),
    ({"upstream": {"backbone:prod": "sha256:" + "b" * 64}}, "upstream", "backbone:prod is bbbbbbbbbbbb now, it was aaaaaaaaaaaa"),
])  # fmt: skip
def test_each_asks_for_its_own_reason(changed, kind, words):
    assert due(ALL, PAST, QUIET).verdict == "not due"
    found = due(ALL, PAST, replace(QUIET, **changed))
    assert found and [held.kind for held in found.triggers] == [kind] and words in found.why


@pytest.mark.parametrize("changed", [
    {"alerts": (Fired("old", "drift"),)}, {"alerts": (Fired("new", "latency"),)}, {"labels": 499}, {"upstream": {}},
    {"now_ms": NOW + 27 * DAY_MS},
])  # fmt: skip
def test_what_was_answered_or_is_not_named_does_not_ask(changed):
    found = due(ALL, PAST, replace(QUIET, **changed))
    assert found.verdict == "not due" and not found and "nothing asks for it" in found.why


def test_a_package_that_nobody_looked_at_before_is_no_change():
    assert not triggers(ALL, Past(), QUIET)


def test_where_nothing_was_ever_trained_time_counts_from_the_first_label():
    assert not triggers(ALL, Past(), replace(QUIET, first_ms=None, now_ms=NOW + 900 * DAY_MS))
    assert [held.kind for held in triggers(ALL, Past(), replace(QUIET, first_ms=NOW - 30 * DAY_MS))] == ["schedule"]


def test_what_asks_waits_for_labels_a_rollout_and_the_last_run_in_this_order():
    asking = replace(QUIET, labels=700)
    assert due(ALL, PAST, replace(asking, rows=99)).verdict == "not enough data"
    assert "being tried" in due(ALL, PAST, replace(asking, trying="next:2 is being tried")).why
    soon = replace(PAST, began_ms=NOW - HOUR_MS)
    waits = due(ALL, soon, asking)
    assert waits.verdict == "waits" and waits.why == "the last run began 1 hours ago; the next may in 23 hours"
    assert due(ALL, soon, replace(asking, now_ms=NOW + 23 * HOUR_MS)).verdict == "due"


def test_a_person_waits_for_labels_and_rollouts_but_not_for_the_last_run():
    soon = replace(PAST, began_ms=NOW - HOUR_MS)
    found = due(ALL, soon, QUIET, asked="ana")
    assert found.verdict == "due" and found.why == "ana asked for it"
    assert due(ALL, soon, replace(QUIET, rows=5), asked="ana").verdict == "not enough data"
    assert due(ALL, soon, replace(QUIET, trying="one is"), asked="ana").verdict == "waits"


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 90), st.booleans(), st.booleans())
def test_more_of_what_asks_never_turns_a_yes_into_a_no(labels, rows, days, fires, changed):
    def seen(extra):
        return Seen(NOW + days * DAY_MS, labels + extra, rows + extra, NOW - DAY_MS, (Fired("new", "drift"),) if fires else (),
                    {"backbone:prod": "sha256:" + ("b" if changed else "a") * 64})  # fmt: skip

    less, more = due(ALL, PAST, seen(0)), due(ALL, PAST, seen(500))
    assert not (less and not more)
    assert bool(less) == bool(triggers(ALL, PAST, seen(0)) and rows >= 100)


@pytest.mark.parametrize("shown", [module, gates])
def test_what_the_docstrings_show_is_so(shown):
    found = doctest.testmod(shown)
    assert found.attempted and not found.failed
