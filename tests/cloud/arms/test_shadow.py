"""Shadows: what they are asked, what their records say, and that they are dropped first and never wait for."""

import contextlib
import os
import threading
import time
from pathlib import Path

import faulty
import numpy as np
import pytest
from armed import OTHER, SAME

from portside.cloud.arms import shadow as shadow_file
from portside.cloud.arms.asking import ShadowModel, Until
from portside.cloud.arms.shadow import Shadow, Shadows
from portside.cloud.arms.slices import Fields
from portside.runtimes.base import Cancel
from portside.sdk.core.errors import EngineError


class Session:
    """Answers as the challenger would, when it is let; `fault`: an error that is raised in the place of an answer."""

    ready = True

    def __init__(self):
        self.gate, self.fault, self.asked, self.score = threading.Event(), None, 0, 0.3
        self.gate.set()

    def run(self, inputs, cancel=None):
        self.asked += 1
        while not self.gate.wait(0.005):
            if cancel.cancelled:
                raise EngineError("too late", reason="deadline")
        if self.fault is not None:
            raise self.fault
        rows = len(inputs["x"])
        return {"label": (inputs["x"].sum(axis=1) > 0.4).astype(np.int64), "score": np.full(rows, self.score, np.float32)}

    def close(self):
        self.ready = False
        self.gate.set()


def until(condition, seconds=10.0):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


@pytest.fixture
def shadowed(tried, monkeypatch):
    """An engine in the shadow phase, with a session of our own in the challenger's place."""
    sessions = []

    def model(resolved, signature, limit_s):
        sessions.append(Session())
        return ShadowModel(resolved, signature, limit_s, sessions[-1])

    monkeypatch.setattr("portside.cloud.arms.standing.ShadowModel", model)

    def build(*given, **more):
        one = tried(*given, **more)
        one.take("shadow")
        (held,) = one.engine.stand.shadows.held
        return one, sessions[-1], held

    return build


def test_a_shadow_answers_beside_the_champion_and_its_record_says_whether_it_agrees(shadowed):
    one, _, held = shadowed()
    answer = one.ask(OTHER, SAME, [0.1, 0.1, 0.1])
    until(lambda: held.asked["primary"] == 1)
    champion, shadow = one.kept
    assert answer.receipt.entry == 0 and answer.outputs["label"].tolist() == ["bad"] * 3
    assert champion.features == {} and champion.arm == "champion" and shadow.arm == "shadow" and not shadow.exposed
    assert shadow.parent == champion.id and shadow.package == one.digest and shadow.decided_by == "model" and shadow.inputs == {}
    assert shadow.features["rollout"] == {"id": "r1", "assigned": "shadow", "agrees": [False, True, False]}
    assert shadow.outputs["label"] == [0, 1, 0] and shadow.receipt["reason"] == "primary" and shadow.receipt["entry"] == -1
    assert shadow.receipt["time_ms"] == shadow.receipt["model_ms"] > 0 and (held.agreed, held.differed) == (1, 2)
    assert f'portside_shadow_rows_total{{challenger="{one.digest[:19]}",agrees="false"}} 2' in one.engine.metrics.text()


@pytest.mark.parametrize(("fault", "score", "reason"), [(EngineError("x", reason="crashed"), 0.3, "crashed"), (None, np.nan, "non-finite"),
                                                        (EngineError("x"), 0.3, "failed")])  # fmt: skip
def test_a_shadow_that_fails_leaves_a_record_without_outputs(shadowed, fault, score, reason):
    one, session, held = shadowed()
    session.fault, session.score = fault, score
    assert one.ask().receipt.reason == "primary"
    until(lambda: held.asked[reason] == 1)
    shadow = one.kept[-1]
    assert shadow.arm == "shadow" and shadow.outputs == {} and shadow.receipt["reason"] == reason
    assert shadow.features["rollout"] == {"id": "r1", "assigned": "shadow"}


def test_nobody_waits_for_a_shadow_that_hangs_and_what_is_too_much_is_dropped(shadowed, monkeypatch):
    monkeypatch.setattr(shadow_file, "MOST", 5)
    one, session, held = shadowed()
    session.gate.clear()
    answers = one.asks([(OTHER,)] * 20)
    assert {answer.receipt.reason for answer in answers} == {"primary"} and held.asked["full"] >= 14
    assert sum(record.arm == "champion" for record in one.kept) == 20
    one.take("rolled back")  # does not wait for the call either
    assert one.ask().receipt.reason == "primary"


def test_a_call_that_takes_too_long_is_given_up(shadowed, monkeypatch):
    monkeypatch.setattr("portside.cloud.arms.asking.LEAST_S", 0.05)
    one, session, held = shadowed("limits = { latency_ms = 1 }")
    session.gate.clear()
    one.ask()
    until(lambda: held.asked["deadline"] == 1)
    assert one.kept[-1].receipt["reason"] == "deadline"


def test_a_shadow_waits_for_a_gap_between_requests_and_is_dropped_without_one(shadowed, monkeypatch):
    monkeypatch.setattr(shadow_file, "OLD_S", 0.1)
    one, session, held = shadowed()
    one.engine.inflight = 1  # somebody is always there
    one.ask()
    until(lambda: held.asked["crowded"] == 1)
    assert session.asked == 0
    one.engine.inflight = 0
    one.ask()
    until(lambda: held.asked["primary"] == 1)


def test_while_records_wait_shadows_make_none(shadowed, monkeypatch):
    monkeypatch.setattr(shadow_file, "ROWS_WAITING", -1)
    one, session, held = shadowed()
    one.ask()
    until(lambda: held.asked["records"] == 1)
    assert session.asked == 0 and len(one.kept) == 1


def test_one_that_is_down_is_not_asked_but_when_it_stays_so_that_is_its_answer(shadowed, monkeypatch):
    one, session, held = shadowed()
    session.ready = False
    one.ask()
    assert held.asked["down"] == 1 and session.asked == 0
    monkeypatch.setattr(shadow_file, "PATIENCE_S", -1.0)
    session.fault = EngineError("The worker process is restarting", reason="crashed")
    one.ask()
    until(lambda: held.asked["crashed"] == 1)


def test_only_what_the_champion_itself_answered_anew_is_shown(shadowed, fault):
    one, session, held = shadowed(more="\n[consistency]\nwindow_s = 60\n")
    one.asks([(OTHER,)] * 2, ["ana", "ana"])
    fault("throw")
    one.ask()
    until(lambda: held.asked["primary"] == 1)
    time.sleep(0.05)
    assert session.asked == 1 and sum(record.arm == "shadow" for record in one.kept) == 1


def test_several_challengers_do_not_wait_for_each_other(tried, monkeypatch):
    one = tried()
    slow, quick = Session(), Session()
    slow.gate.clear()
    shadows = [Shadow(ShadowModel(one.resolved.challengers[0], one.engine.signature, None, session), "r1", one.engine.records, (),
                      Fields((), one.engine.signature), None, lambda: False) for session in (slow, quick)]  # fmt: skip
    both = Shadows(shadows, one.resolved.champion.front)
    one.engine.champion.books.shadows = both
    one.ask()
    until(lambda: shadows[1].asked["primary"] == 1)
    assert not shadows[0].asked
    both.close()


def at_ease(pid):
    """Give a process the usual priority: where others keep every processor busy, one of the lowest would wait for minutes."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 0)


@pytest.mark.timeout(900)
def test_a_real_shadow_runs_in_a_process_of_the_lowest_priority_and_outlives_its_crashes(tried, new_fault):
    one = tried()
    one.take("shadow")
    (held,) = one.engine.stand.shadows.held
    session = held.model._session
    session.wait_ready(300)
    first = session.pid
    assert os.getpriority(os.PRIO_PROCESS, first) == 19 and os.sched_getscheduler(first) == os.SCHED_IDLE
    at_ease(first)
    one.ask()
    until(lambda: held.asked["primary"] == 1, 60)
    new_fault("exit")
    assert one.ask().receipt.reason == "primary"
    until(lambda: held.asked["crashed"] == 1, 60)
    new_fault("ok")
    until(lambda: session.ready and session.pid != first, 300)
    at_ease(session.pid)
    one.ask()
    until(lambda: held.asked["primary"] == 2, 60)
    assert [record.receipt["reason"] for record in one.kept if record.arm == "shadow"] == ["primary", "crashed", "primary"]
    one.take("canary", 1.0)
    until(lambda: session._closed, 10)  # and another process answers callers, at the usual priority
    assert one.ask().receipt.entry == -1


def test_a_thread_rests_so_that_it_works_for_its_part_of_the_time(shadowed, monkeypatch):
    rest_s = shadow_file.rest_s
    assert rest_s(0.0005, 0.0, 1.0) == pytest.approx(0.1) and rest_s(0.0005, 4.0, 1.0) == pytest.approx(0.02)
    assert rest_s(0.0003, 500.0, 0.5) == pytest.approx(0.02) and rest_s(3.0, 0.0, 1.0) == shadow_file.MOST_REST_S
    rests = []
    monkeypatch.setattr(shadow_file, "rest_s", lambda *given: rests.append(given) or 0.0)
    one, _, held = shadowed()
    one.asks([(OTHER,)] * 3)
    until(lambda: held.asked["primary"] == 3)
    until(lambda: len(rests) == 3)
    assert all(0 < worked < 1 and answer_ms > 0 and part == 1.0 for worked, answer_ms, part in rests)


def test_a_process_rests_so_that_it_takes_its_part_of_the_cores(shadowed, monkeypatch):
    monkeypatch.setattr(shadow_file, "cores", lambda: 4)
    idle_s = shadow_file.idle_s
    assert idle_s(0.004, 1.0) == pytest.approx(0.05) and idle_s(0.004, 0.5) == pytest.approx(0.1)
    assert idle_s(0.0, 1.0) == 0.0 and idle_s(5.0, 1.0) == shadow_file.MOST_IDLE_S
    rests = []
    monkeypatch.setattr(shadow_file, "idle_s", lambda *given: rests.append(given) or 0.0)
    one, _, held = shadowed()
    one.asks([(OTHER,)] * 3)
    until(lambda: held.asked["primary"] == 3 and len(rests) == 3)
    told = [record.receipt["model_ms"] / 1e3 for record in one.kept if record.arm == "shadow"]
    assert [computed_s for computed_s, _ in rests] == pytest.approx(told, abs=1e-6) and min(told) > 0
    assert all(part == 1.0 for _, part in rests)


def test_time_is_up_by_itself():
    cancel = Until(time.monotonic() + 0.02)
    assert isinstance(cancel, Cancel) and not cancel.cancelled
    time.sleep(0.03)
    assert cancel.cancelled
    other = Until(time.monotonic() + 60)
    other.cancel()
    assert other.cancelled


def test_waiting_for_a_processor_is_not_slow(tried, monkeypatch):
    class Starved(faulty.Faulty):
        def run(self, inputs, cancel=None):
            time.sleep(0.2)
            return {"label": np.array([0]), "score": np.array([0.5], np.float32), "/busy_s": np.array([0.004])}

    one = tried()
    model = ShadowModel(one.resolved.challengers[0], one.engine.signature, 1.0, Starved("/nowhere"))
    held = Shadow(model, "r1", one.engine.records, (), Fields((), one.engine.signature), 100.0, lambda: False)
    one.engine.champion.books.shadows = Shadows([held], one.resolved.champion.front)
    one.ask()
    until(lambda: held.asked["primary"] == 1)
    held.close()
    assert one.kept[-1].receipt["time_ms"] == 4.0 and one.kept[-1].receipt["within_deadline"]
