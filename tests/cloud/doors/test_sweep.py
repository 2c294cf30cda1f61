"""The sweep as a function of states and a clock: each phase ends at its limit and never before, whatever else happens."""

from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.doors.sweep import Limits, Sweep, phase_of

LIMITS = Limits(head_s=3, body_s=5, answer_s=7, idle_s=9, every_s=1)


class Fake:
    """A connection in a phase that the test sets."""

    def __init__(self, phase="idle"):
        self.phase, self.cycle, self.transport, self.aborted = phase, object(), self, False

    def abort(self):
        self.aborted = True

    def is_closing(self):
        return self.aborted


@given(st.sampled_from(["head", "body", "reading", "idle", "answering"]), st.integers(1, 5))
def test_a_phase_ends_at_its_limit(phase, step):
    sweep, one = Sweep(LIMITS), Fake(phase)
    for now in range(0, 100, step):
        sweep.look([one], now)
        assert one.aborted == (now >= LIMITS.of(phase))
        if one.aborted:
            break
    assert one.aborted == (phase in ("head", "body", "reading"))


@given(st.lists(st.sampled_from(["head", "body", "reading", "idle", "answering"]), min_size=2, max_size=60))
def test_who_goes_on_is_left_alone(phases):
    """Every sweep sees another request or another phase: no limit is ever reached."""
    sweep, one = Sweep(LIMITS), Fake()
    for now, phase in enumerate(phases):
        one.phase, one.cycle = phase, object()
        sweep.look([one], now * 2.9)
    assert not one.aborted


def test_only_one_that_rests_makes_room():
    sweep, busy, resting, newcomer = Sweep(LIMITS), Fake("answering"), Fake("idle"), Fake("idle")
    assert not sweep.make_room({busy, newcomer}, newcomer)
    assert sweep.make_room({busy, resting, newcomer}, newcomer) and resting.aborted and not busy.aborted
    assert not sweep.make_room({busy, resting, newcomer}, newcomer)


class Cycle:
    def __init__(self, complete, more):
        self.response_complete, self.more_body = complete, more


class State:
    """The fields of uvicorn's protocol that tell a phase."""

    def __init__(self, cycle=None, timer=None, buffered=0, paused=False):
        self.cycle, self.timeout_keep_alive_task, self.transport, self.flow = cycle, timer, self, self
        self.write_paused, self.buffered = paused, buffered

    def get_write_buffer_size(self):
        return self.buffered


def test_phases():
    assert phase_of(State()) == "head"
    assert phase_of(State(Cycle(False, True))) == "body"
    assert phase_of(State(Cycle(False, False))) == "answering"
    assert phase_of(State(Cycle(False, False), paused=True)) == phase_of(State(Cycle(True, False), timer=1, buffered=9)) == "reading"
    assert phase_of(State(Cycle(True, False), timer=1)) == "idle"
    assert phase_of(State(Cycle(True, False))) == "head"
