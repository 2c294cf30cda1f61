"""Isolation: what a caller sees of a model that is slow, wedged, throwing or killed, inline, on threads and in a process."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portside.runtimes.base import Cancel
from portside.runtimes.isolation import Lane, statistics
from portside.runtimes.isolation_process import Opening, ProcessSession, Restart
from portside.runtimes.shared_tensors import Region
from portside.sdk.core.errors import EngineError

FAKES = str(Path(__file__).parents[1] / "cloud")
sys.path.insert(0, FAKES)
import faulty  # noqa: E402  the fake lives beside the tests of the service

X = {"x": np.array([[1, 2], [3, 4]], np.float32)}
QUICK = Restart(first_s=0.02, most_s=0.2, ready_s=20.0, kill_after_s=0.15)
PATIENT = replace(QUICK, kill_after_s=15.0)


@pytest.fixture
def control(tmp_path):
    return tmp_path / "control"


@pytest.fixture
def lane_of(control, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([FAKES, os.environ.get("PYTHONPATH", "")]))
    opened = []

    def make(isolation, restart=QUICK, **options):
        if isolation == "process":
            session = ProcessSession(Opening("faulty:open_faulty", {"control": str(control)}), faulty.Faulty(control).info, restart)
            session.wait_ready(20)
            lane = Lane(session)
        else:
            safe = options.pop("thread_safe", True)
            lane = Lane(faulty.Faulty(control, safe), threads=0 if isolation == "inline" else 1, replace=safe, **options)
        opened.append(lane)
        return lane

    yield make
    control.write_text("ok")
    for lane in opened:
        lane.close()


def soon(milliseconds):
    return time.monotonic() + milliseconds / 1000


def eventually(true, seconds=20):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.005)


def reason(lane, until=None):
    with pytest.raises(EngineError) as caught:
        lane.run(X, until=until)
    return caught.value.reason


@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
def test_answers_and_errors_are_the_sessions_own(isolation, lane_of, control):
    lane = lane_of(isolation)
    assert lane.run(X)["y"].tolist() == [[2, 4], [6, 8]]
    control.write_text("throw")
    with pytest.raises(EngineError, match="ValueError: the model threw") as caught:
        lane.run(X)
    assert caught.value.reason == "failed"
    control.write_text("ok")
    assert lane.run(X)["label"].tolist() == [1, 1]


@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
def test_a_call_whose_time_has_passed_is_never_begun(isolation, lane_of):
    lane = lane_of(isolation)
    assert reason(lane, until=time.monotonic() - 1) == "deadline"
    assert lane.abandoned_total == 0


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_wedged_call_is_given_up_at_its_deadline(isolation, lane_of, control):
    lane = lane_of(isolation)
    control.write_text("wedge")
    assert reason(lane, until=soon(40)) == "deadline"
    control.write_text("ok")
    deadline = soon(15000)
    while time.monotonic() < deadline:
        try:
            assert lane.run(X, until=soon(5000))["y"].shape == (2, 2)
            break
        except EngineError as error:
            assert error.reason in ("crashed", "deadline")
            time.sleep(0.02)
    else:
        pytest.fail("the lane never answered again")


def test_threads_abandoned_calls_are_replaced_counted_and_bounded(lane_of, control):
    lane = lane_of("thread", max_abandoned=3)
    control.write_text("wedge")
    waits = iter(range(30, 20_000, 30))
    for count in (1, 2, 3):  # one that was not begun before its deadline holds no thread: with more time it is
        eventually(lambda count=count: reason(lane, until=soon(next(waits))) == "deadline" and lane.abandoned == count)
    assert not lane.ready
    assert reason(lane, until=soon(30)) == "busy"
    control.write_text("ok")
    deadline = soon(5000)
    while lane.abandoned and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lane.abandoned == 0 and lane.ready and statistics(lane)["abandoned_total"] == 3
    assert lane.run(X)["y"].shape == (2, 2)
    assert len(lane._threads) <= 2


def test_a_session_that_is_not_thread_safe_runs_one_call_at_a_time(lane_of, control):
    lane = lane_of("thread", thread_safe=False)
    control.write_text("wedge")
    assert reason(lane, until=soon(30)) == "deadline"
    waiting = lane.submit(X, until=soon(5000))
    time.sleep(0.05)
    assert not waiting.started
    control.write_text("ok")
    deadline = soon(5000)
    while not waiting.done and time.monotonic() < deadline:
        time.sleep(0.005)
    assert waiting.result()["y"].shape == (2, 2)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_cancel_reaches_an_engine_that_obeys(isolation, lane_of, control):
    lane = lane_of(isolation, PATIENT)
    control.write_text("polite")
    assert reason(lane, until=soon(50)) == "deadline"
    control.write_text("ok")
    assert lane.run(X, until=soon(5000))["y"].shape == (2, 2)
    assert getattr(lane.session, "restarts", 0) == 0


def test_the_callers_own_cancel(lane_of, control):
    lane, cancel = lane_of("thread"), Cancel()
    control.write_text("polite")
    threading.Timer(0.05, cancel.cancel).start()
    with pytest.raises(EngineError) as caught:
        lane.run(X, cancel)
    assert caught.value.reason == "cancelled"


def test_a_full_queue_refuses(lane_of, control):
    lane = lane_of("thread", max_queue=2)
    control.write_text("wedge")
    first = lane.submit(X)
    eventually(lambda: first.started)
    calls = [lane.submit(X) for _ in range(3)]
    assert isinstance(calls[2].outcome, EngineError) and calls[2].outcome.reason == "busy"
    assert not calls[1].done


def test_a_worker_that_exits_in_a_call_is_replaced(lane_of, control):
    lane = lane_of("process")
    first = lane.session.pid
    control.write_text("exit")
    assert reason(lane) == "crashed"
    assert not lane.ready and reason(lane) == "crashed", "calls fail at once while there is no worker"
    control.write_text("ok")
    lane.session.wait_ready(20)
    assert lane.run(X)["y"].shape == (2, 2) and lane.session.pid != first and lane.session.restarts == 1


def test_a_worker_killed_between_calls_is_replaced(lane_of):
    lane = lane_of("process")
    first = lane.session.pid
    os.kill(first, signal.SIGKILL)
    deadline = soon(20000)
    while (lane.session.pid in (first, None)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lane.run(X)["y"].shape == (2, 2)


def test_a_call_that_ignores_its_cancellation_costs_the_worker_its_life(lane_of, control):
    lane = lane_of("process")
    first = lane.session.pid
    control.write_text("deaf")
    call = lane.submit(X)
    eventually(lambda: call.started)
    assert lane.abandon(call) and call.outcome.reason == "deadline"
    eventually(lambda: lane.session.pid != first)
    control.write_text("ok")
    lane.session.wait_ready(20)
    assert lane.run(X)["y"].shape == (2, 2)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_worker_that_cannot_open_backs_off_and_says_why(control, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", FAKES)
    control.write_text("unopenable")
    session = ProcessSession(Opening("faulty:open_faulty", {"control": str(control)}), faulty.Faulty(control).info, QUICK)
    eventually(lambda: session.fault)
    with pytest.raises(EngineError, match="cannot open"):
        session.wait_ready(0.05)
    control.write_text("ok")
    session.wait_ready(20)
    assert session.run(X)["y"].shape == (2, 2)
    session.close()


def test_close_leaves_no_process(lane_of):
    lane = lane_of("process")
    pid = lane.session.pid
    lane.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert reason(lane) == "closed"


ARRAYS = st.sampled_from(["<f4", "<f8", "<f2", "i1", "u1", "<i4", "<i8", "?"]).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(max_size=5), ARRAYS | st.lists(ARRAYS, min_size=1, max_size=3), max_size=4))
def test_tensors_survive_shared_memory(tensors):
    here = Region()
    there = Region(os.dup(here.handle))
    got = there.read(here.write(tensors), copy=True)
    assert list(got) == list(tensors)
    for name, value in tensors.items():
        pairs = zip(value, got[name], strict=True) if isinstance(value, list) else [(value, got[name])]
        for a, b in pairs:
            assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    here.close()
    there.close()


def test_a_region_grows_and_text_travels():
    here = Region()
    there = Region(os.dup(here.handle))
    for size in (1, 10_000, 3):
        words = np.array([["a"], [None]], dtype=object)
        got = there.read(here.write({"big": np.arange(size), "words": words}), copy=False)
        assert got["big"].tolist() == list(range(size)) and got["words"].tolist() == [["a"], [None]]
    here.close()
    there.close()
