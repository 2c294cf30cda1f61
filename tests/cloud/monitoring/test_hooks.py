"""Hooks of others: told everything, in their own process; what fails, hangs, is slow or dies is counted and stops nobody."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from watched import MINUTE, NAME, START, Watch, about, labelled, stream, write

from portside.cloud.monitor import Finding, findings_of
from portside.cloud.monitoring import reading
from portside.cloud.monitoring.consuming import serially, wellbeing
from portside.cloud.monitoring.hooks import load
from portside.sdk.core.errors import FormatError

HOOKS = '''
import os, time
from portside import Finding

def say(text):
    with open(os.path.join(os.path.dirname(__file__), "said"), "a") as file:
        file.write(text + "\\n")

def mean(window, reference):
    held = window.profile.fields["in.x"].mean
    print("this is no answer")
    was = reference.fields["in.x"].mean
    yield Finding("mean-of-x", value=held, verdict="breach" if held > 1 else "ok", what=f"x is {held:.1f}, was {was:.1f}")

def record(record):
    say(f"record {record.id}")

class All:
    def __init__(self):
        self.seen = 0
    def on_record(self, record):
        self.seen += 1
    def on_label(self, label, record):
        say(f"label {label.record} {record is not None}")
    def on_window(self, window, reference):
        return [Finding("seen", value=self.seen)]

def fails(window):
    raise ValueError("no such thing")

def fails_at_some(record):
    if int(record.id[-1], 16) % 2:
        raise ValueError("odd")

def hangs(window):
    time.sleep(3600)

def busy(window):
    while True:
        pass

def slow(record):
    time.sleep(0.02)

def dies(window):
    os.kill(os.getpid(), 11)

def leaves(window):
    raise SystemExit(0)

def answers_nonsense(window):
    return "well"

def number(window):
    return 7

def mistaken(windows):
    pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_hooks.py").write_text(HOOKS)
    return tmp_path


def watch_of(database, folder, *names, timeout_s=10.0, **settings):
    hooks = [{"use": f"own_hooks:{name}", "timeout_s": timeout_s} for name in names]
    known = about(folder, hooks=hooks, spans={"rows": 100, "minutes": 60}, drift={"enabled": False}, **settings)
    watch = Watch(database, known)
    assert watch.pipeline.turn.take(START)
    return watch


def tell(watch):
    """Every hook everything there is."""
    for consumer in watch.pipeline.consumers:
        serially(consumer, 50)()


def said(folder):
    path = folder / "said"
    return path.read_text().splitlines() if path.exists() else []


def test_one_function_finds_and_its_finding_is_an_alert(database, folder):
    watch = watch_of(database, folder, "mean")
    write(database, [*stream(300), *stream(300, start=300, shift=3.0)])
    try:
        watch.at(START + 12 * MINUTE)
        tell(watch)
        told = watch.at(START + 13 * MINUTE).events
    finally:
        watch.close()
    found = reading.found(database, NAME, "mean-of-x")
    assert len(found) == 5 and {one.source for one in found} == {"hook:own_hooks:mean"}
    assert [(event.alert.name, event.alert.state) for event in told] == [("mean-of-x", "firing")]
    assert "was" in told[0].alert.finding.what


def test_every_record_and_label_is_told_once_in_order(database, folder):
    watch = watch_of(database, folder, "record", "All")
    rows = stream(500)
    write(database, rows)
    labelled(database, [3, 4], 1)
    try:
        watch.at(START + 10 * MINUTE)
        tell(watch)
        tell(watch)
        assert [line.partition(" ")[2] for line in said(folder) if line.startswith("record")] == [one.id for one in rows]
        assert sum(line.startswith("label") and line.endswith("True") for line in said(folder)) == 2
        assert [one.finding.value for one in reading.found(database, NAME, "seen")] == [500.0] * 4
    finally:
        watch.close()


@pytest.mark.parametrize(("name", "outcome", "fault"), [
    ("fails", "failed", "ValueError: no such thing (own_hooks.py"), ("hangs", "hung", "no answer to window within 1 s"),
    ("busy", "hung", "no answer to window within 1 s"), ("dies", "hung", "its process ended during window"),
    ("leaves", "hung", "its process ended during window"), ("answers_nonsense", "failed", "a hook answers findings, not str"),
    ("mistaken", "failed", "no hook"), ("not_there", "failed", "cannot be loaded"),
])  # fmt: skip
def test_what_goes_wrong_is_counted_and_named_and_the_others_go_on(quick, folder, name, outcome, fault):
    watch = watch_of(quick, folder, name, "mean", timeout_s=1.0)
    write(quick, stream(120))
    try:
        watch.at(START + 5 * MINUTE)
        began = time.monotonic()
        tell(watch)
        assert time.monotonic() - began < 120
        stats = watch.pipeline.consumers[0].stats
        assert getattr(stats, outcome) == 1 and fault in stats.fault and stats.well is False
        assert watch.pipeline.consumers[1].stats.well is True and len(reading.found(quick, NAME, "mean-of-x")) == 1
        told = watch.at(START + 6 * MINUTE).events + watch.at(START + 8 * MINUTE).events
        assert [(event.alert.name, event.alert.subject) for event in told] == [("hook-failing", f"own_hooks:{name}")]
    finally:
        watch.close()
    assert watch.pipeline.figures["portside_monitor_hook_calls", (("hook", f"own_hooks:{name}"), ("outcome", outcome))] == 1.0


def test_a_slow_hook_is_told_what_there_is_time_for(quick, folder):
    watch = watch_of(quick, folder, "slow", timeout_s=1.0)
    write(quick, stream(200))
    try:
        began = time.monotonic()
        tell(watch)
        stats = watch.pipeline.consumers[0].stats
        assert time.monotonic() - began < 60 and 1 <= stats.done <= 60 and stats.skipped == 200 - stats.done
        assert "slow" in stats.fault and wellbeing("slow", stats).verdict == "breach"
    finally:
        watch.close()


def test_records_that_a_hook_cannot_take_do_not_stop_the_next(quick, folder):
    watch = watch_of(quick, folder, "fails_at_some")
    write(quick, stream(100))
    try:
        tell(watch)
        stats = watch.pipeline.consumers[0].stats
        assert stats.done + stats.failed == 100 and stats.failed > 20 and stats.skipped == 0
    finally:
        watch.close()


def test_a_hook_that_hangs_never_holds_up_a_round(quick, folder):
    """As it runs: hooks in threads, rounds by the clock."""
    watch = watch_of(quick, folder, "hangs", "mean", timeout_s=600.0)
    write(quick, stream(120))
    try:
        for consumer in watch.pipeline.consumers:
            consumer.start()
        began = time.monotonic()
        for minute in range(5, 15):
            watch.at(START + minute * MINUTE)
        assert time.monotonic() - began < 300
        ends = time.monotonic() + 60
        while not reading.found(quick, NAME, "mean-of-x"):
            assert time.monotonic() < ends
            time.sleep(0.05)
    finally:
        began = time.monotonic()
        watch.close()
        assert time.monotonic() - began < 300, "long before the hook would have been given up"


def test_a_hook_that_was_killed_in_between_is_told_again(quick, folder):
    """Its cursor moves after its answer: whoever goes on tells it what it may have missed."""
    first = watch_of(quick, folder, "mean")
    write(quick, stream(300))
    try:
        first.at(START + 6 * MINUTE)
        assert first.pipeline.consumers[0]._caller.ready()
    finally:
        first.close()
    again = watch_of(quick, folder, "mean")
    try:
        tell(again)
    finally:
        again.close()
    assert len(reading.found(quick, NAME, "mean-of-x")) == 2


TWO = [Finding("a", value=1.0), Finding("b", value=2.0)]


@pytest.mark.parametrize(("answer", "values"), [(None, []), (3, [3.0]), (True, [1.0]), (TWO[0], [1.0]), (TWO, [1.0, 2.0])], ids=range(5))
def test_what_a_hook_may_answer(answer, values):
    assert [finding.value for finding in findings_of(answer, "hook")] == values


@pytest.mark.parametrize("use", ["nowhere:thing", "math:nothing", "math:pi"])
def test_what_is_no_hook_is_refused_by_name(tmp_path, use):
    with pytest.raises(FormatError, match="hook"):
        load(use, tmp_path)
