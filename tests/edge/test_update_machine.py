"""The machine of updates: its rules one by one, and what holds after any sequence of events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portside.edge.update_machine import Rules, durable, pending, spare, step
from portside.edge.update_record import Record
from portside.edge.update_state import (
    Active,
    BeginTrial,
    ClockWrong,
    DesiredSeen,
    Fetch,
    FetchDone,
    Fetched,
    FetchFailed,
    Fetching,
    Held,
    Idle,
    JudgeTrial,
    MetadataExpired,
    OperatorRollback,
    Rebooted,
    Refused,
    RolledBack,
    Run,
    Stage,
    Staged,
    StagingDone,
    StagingFailed,
    Trial,
    TrialBegun,
    TrialJudged,
    Update,
    VerificationFailed,
    VerificationPassed,
    Verified,
    Verify,
    Wanted,
)
from portside.sdk.core.errors import FormatError, IntegrityError


def wish(number, sequence=None):
    """Release `number`, wanted at that place in the order."""
    return Wanted(f"sha256:{number:064x}", number if sequence is None else sequence)


OLD, NOW, NEXT = wish(1), wish(2), wish(3)
RUNNING = Update(Active(NOW), Held("b", NOW), Held("a", OLD), seen=NOW)
SOUND = {"a": OLD, "b": NOW}


def after(now, *events):
    """(state after the events, actions of the last one)."""
    actions = ()
    for event in events:
        now, actions = step(now, event)
    return now, actions


def to_trial(wanted):
    return (DesiredSeen(wanted), FetchDone(wanted), VerificationPassed(wanted), StagingDone(wanted), TrialBegun(wanted))


def test_the_way_of_an_update():
    seen = []
    now = RUNNING
    for event in (*to_trial(NEXT), TrialJudged(NEXT, "not enough data"), TrialJudged(NEXT, "healthy")):
        now, actions = step(now, event)
        seen.append((now.phase, now.fallback, actions))
    assert seen == [
        (Fetching(NEXT), Held("a", OLD), (Fetch(NEXT),)),
        (Fetched(NEXT), Held("a", OLD), (Verify(NEXT),)),
        (Verified(NEXT, "a"), None, (Stage(NEXT, "a"),)),
        (Staged(NEXT, "a"), None, (BeginTrial(NEXT, "a"),)),
        (Trial(NEXT, "a"), None, (JudgeTrial(NEXT, "a"),)),
        (Trial(NEXT, "a"), None, ()),
        (Active(NEXT), Held("b", NOW), (Run("a"),)),
    ]
    assert (now.active, spare(now)) == (Held("a", NEXT), "b")


def test_the_first_release_of_a_device_has_a_trial_too():
    now, _ = after(Update(), *to_trial(NOW))
    assert (now.phase, now.active) == (Trial(NOW, "a"), None)
    assert after(now, TrialJudged(NOW, "healthy")) == (Update(Active(NOW), Held("a", NOW), seen=NOW), (Run("a"),))
    failed, actions = after(now, TrialJudged(NOW, "unhealthy", "slow"))
    assert (failed.phase, failed.active, actions) == (RolledBack(NOW, "slow"), None, ())


@pytest.mark.parametrize("events", [
    [DesiredSeen(NEXT), FetchDone(NEXT), VerificationFailed(NEXT, "bad")],
    [*to_trial(NEXT), TrialJudged(NEXT, "unhealthy", "bad")],
    [*to_trial(NEXT), OperatorRollback({})],
    [*to_trial(NEXT), *[Rebooted({"a": NEXT, "b": NOW})] * 3],
])  # fmt: skip
def test_what_failed_is_refused_until_it_is_wanted_anew(events):
    now, _ = after(RUNNING, *events)
    assert isinstance(now.phase, RolledBack)
    assert now.active == Held("b", NOW)
    assert [held.wanted for held in now.refused] == [NEXT]
    assert after(now, DesiredSeen(NEXT)) == (now, ())
    again, actions = after(now, DesiredSeen(wish(3, 4)))
    assert (again.phase, actions) == (Fetching(wish(3, 4)), (Fetch(wish(3, 4)),))
    newer, actions = after(now, DesiredSeen(wish(9)))
    assert (newer.phase, actions) == (Fetching(wish(9)), (Fetch(wish(9)),))


@pytest.mark.parametrize("event", [FetchFailed(NEXT, "away"), StagingFailed(NEXT, "full"), MetadataExpired(), ClockWrong()])
def test_what_failed_without_fault_is_tried_when_it_is_next_wanted(event):
    way = [DesiredSeen(NEXT)] if isinstance(event, FetchFailed) else to_trial(NEXT)[:3]
    now, actions = after(RUNNING, *way, event)
    assert (isinstance(now.phase, Idle), now.active, now.refused, actions) == (True, Held("b", NOW), (), ())
    again, actions = after(now, DesiredSeen(NEXT))
    assert (again.phase, again.halted, actions) == (Fetching(NEXT), None, (Fetch(NEXT),))


@pytest.mark.parametrize("halt", [MetadataExpired(), ClockWrong()])
def test_expiry_and_clock_stop_installs_and_neither_answers_nor_a_trial(halt):
    for count in range(1, 5):
        now, actions = after(RUNNING, *to_trial(NEXT)[:count], halt)
        assert (pending(now), now.active, actions) == (None, Held("b", NOW), ())
        assert now.halted
    now, _ = after(RUNNING, *to_trial(NEXT), halt)
    assert (now.phase, bool(now.halted)) == (Trial(NEXT, "a"), True)
    assert after(now, TrialJudged(NEXT, "healthy"))[0].active == Held("a", NEXT)
    assert after(RUNNING, halt)[0].phase == Active(NOW)


@pytest.mark.parametrize("count", range(6))
def test_a_newer_wish_replaces_whatever_is_under_way(count):
    before, _ = after(RUNNING, *to_trial(NEXT)[:count])
    now, actions = after(before, DesiredSeen(wish(7)))
    assert (now.phase, actions, now.active) == (Fetching(wish(7)), (Fetch(wish(7)),), Held("b", NOW))
    for late in (*to_trial(NEXT)[1:], TrialJudged(NEXT, "healthy"), StagingFailed(NEXT, "late"), DesiredSeen(NEXT)):
        assert after(now, late) == (now, ())


def test_two_wishes_in_one_place_and_older_ones_are_ignored():
    for wanted in (OLD, wish(9, 2), wish(9, 1)):
        assert after(RUNNING, DesiredSeen(wanted)) == (RUNNING, ())


def test_the_release_that_answers_is_settled_at_once_and_ends_a_trial():
    again = wish(2, 8)
    for now in (RUNNING, after(RUNNING, *to_trial(NEXT))[0]):
        then, actions = after(now, DesiredSeen(again))
        assert (then.phase, then.active, then.seen, actions) == (Active(again), Held("b", again), again, ())
    assert after(RUNNING, DesiredSeen(NOW)) == (RUNNING, ())


def test_the_release_before_needs_no_network_and_a_trial_all_the_same():
    again = wish(1, 8)
    now, actions = after(RUNNING, DesiredSeen(again))
    assert (now.phase, now.fallback, actions) == (Staged(again, "a"), None, (BeginTrial(again, "a"),))
    now, actions = after(now, TrialBegun(again), TrialJudged(again, "healthy"))
    assert (now.active, now.fallback, actions) == (Held("a", again), Held("b", NOW), (Run("a"),))
    damaged, _ = after(RUNNING, DesiredSeen(again), StagingFailed(again, "not whole"), DesiredSeen(again))
    assert damaged.phase == Fetching(again)


def test_an_operator_goes_back_without_a_network():
    now, actions = after(RUNNING, OperatorRollback(SOUND))
    assert (now.active, now.fallback, actions) == (Held("a", OLD), None, (Run("a"),))
    assert [held.wanted for held in now.refused] == [NOW]
    assert after(now, DesiredSeen(NOW)) == (now, ())
    assert after(now, OperatorRollback(SOUND)) == (now, ())
    assert after(RUNNING, OperatorRollback({"b": NOW})) == (RUNNING, ())
    fetching, _ = after(RUNNING, DesiredSeen(NEXT))
    back, _ = after(fetching, OperatorRollback(SOUND))
    assert (pending(back), back.active) == (None, Held("a", OLD))
    assert after(back, DesiredSeen(NEXT))[1] == (Fetch(NEXT),)


def test_restarts_go_on_where_the_disk_is():
    sound = {"a": NEXT, "b": NOW}
    for count, expected in enumerate(((Run("b"),),) * 4):
        now, actions = after(durable(after(RUNNING, *to_trial(NEXT)[:count])[0]), Rebooted(SOUND))
        assert (pending(now), actions) == (None, expected)
    staged, actions = after(durable(after(RUNNING, *to_trial(NEXT)[:4])[0]), Rebooted(sound))
    assert (staged.phase, actions) == (Staged(NEXT, "a"), (Run("b"), BeginTrial(NEXT, "a")))
    trial, actions = after(after(RUNNING, *to_trial(NEXT))[0], Rebooted(sound))
    assert (trial.phase, actions) == (Trial(NEXT, "a", 1), (Run("b"), JudgeTrial(NEXT, "a")))
    assert after(trial, *[Rebooted(sound, clean=True)] * 9)[0].phase == Trial(NEXT, "a", 1)
    torn, actions = after(trial, Rebooted({"b": NOW}))
    assert (torn.phase, torn.refused, actions) == (Idle("its slot is not whole"), (), (Run("b"),))


def test_interruptions_are_a_rule():
    now, _ = after(RUNNING, *to_trial(NEXT))
    assert isinstance(step(now, Rebooted({"a": NEXT, "b": NOW}), Rules(interruptions=1))[0].phase, RolledBack)


def test_a_damaged_slot_gives_way_to_the_one_before():
    now, actions = after(RUNNING, Rebooted({"a": OLD}))
    assert (now.active, now.fallback, actions) == (Held("a", OLD), None, (Run("a"),))
    assert after(now, DesiredSeen(NOW))[1] == (Fetch(NOW),)
    gone, actions = after(RUNNING, Rebooted({}))
    assert (gone.active, actions) == (None, ())
    assert after(gone, DesiredSeen(NOW))[1] == (Fetch(NOW),)


def test_a_whole_slot_that_nobody_counts_on_is_better_than_none():
    abandoned, _ = after(RUNNING, *to_trial(NEXT)[:4], MetadataExpired())
    now, actions = after(abandoned, Rebooted({"a": NEXT}))
    assert (now.phase, now.active, actions) == (Staged(NEXT, "a"), None, (BeginTrial(NEXT, "a"),))
    failed, _ = after(RUNNING, *to_trial(NEXT), TrialJudged(NEXT, "unhealthy", "bad"))
    assert after(failed, Rebooted({"a": NEXT}))[1] == ()


def test_what_was_refused_is_kept_in_bounds():
    now = RUNNING
    for number in range(3, 40):
        now, _ = after(now, DesiredSeen(wish(number)), FetchDone(wish(number)), VerificationFailed(wish(number), "bad"))
    assert [held.wanted for held in now.refused] == [wish(number) for number in range(32, 40)]


def test_a_record_comes_back_and_a_changed_one_does_not():
    trial, _ = after(RUNNING, *to_trial(NEXT), ClockWrong())
    for number, now in enumerate((Update(), RUNNING, trial, durable(after(RUNNING, DesiredSeen(NEXT))[0]),
                                  after(trial, OperatorRollback({}))[0], after(RUNNING, *to_trial(NEXT)[:4])[0])):  # fmt: skip
        text = Record(now, number).to_bytes()
        assert Record.from_bytes(text) == Record(now, number)
        for cut in range(0, len(text), 7):
            with pytest.raises((FormatError, IntegrityError)):
                Record.from_bytes(text[:cut])
            with pytest.raises((FormatError, IntegrityError)):
                Record.from_bytes(text[:cut].ljust(len(text), b"\0"))
    with pytest.raises(FormatError, match="does not outlive"):
        Record(Update(Fetching(NEXT)), 1).to_bytes()


RELEASES = st.integers(1, 4)
JUDGED = st.sampled_from(["healthy", "unhealthy", "not enough data"])


class Device(RuleBasedStateMachine):
    """A device whose disk and work are a few values; events come in any order, and restarts at any moment."""

    @initialize()
    def begin(self):
        self.now, self.disk = Update(), Update()
        self.slots, self.todo, self.sequence, self.ran = {}, [], 0, False

    def feed(self, event):
        before = self.now
        self.now, actions = step(before, event)
        self.disk = durable(self.now)  # saved before anything is done
        for action in actions:
            if isinstance(action, Stage):
                assert action.slot != (self.now.active and self.now.active.slot)
                assert action.slot != (self.disk.fallback and self.disk.fallback.slot)
                self.slots.pop(action.slot, None)  # from now on it is being written
            if isinstance(action, Run):
                assert self.slots[action.slot].release == self.now.active.wanted.release
            else:
                self.todo.append(action)
        if before.active is not None and self.now.active not in (before.active, None):
            refused = {held.wanted.release: held.wanted.sequence for held in self.now.refused}
            assert refused.get(self.now.active.wanted.release, 0) < self.now.active.wanted.sequence

    @rule(number=RELEASES, up=st.integers(-2, 2))
    def desired(self, number, up):
        wanted = wish(number, max(1, self.sequence + up))
        self.sequence = max(self.sequence, wanted.sequence)
        newest = self.now.seen is None or wanted.sequence > self.now.seen.sequence
        self.feed(DesiredSeen(wanted))
        if newest:
            assert wanted in (pending(self.now), self.now.active and self.now.active.wanted)

    @rule()
    def same_again(self):
        if self.now.seen is not None:
            self.feed(DesiredSeen(self.now.seen))

    @precondition(lambda self: self.todo)
    @rule(well=st.booleans(), verdict=JUDGED, data=st.data())
    def work(self, well, verdict, data):
        action = self.todo.pop(data.draw(st.integers(0, len(self.todo) - 1)))
        self.feed(self.result(action, well, verdict))

    def result(self, action, well, verdict):
        match action:
            case Fetch(wanted):
                return FetchDone(wanted) if well else FetchFailed(wanted, "away")
            case Verify(wanted):
                return VerificationPassed(wanted) if well else VerificationFailed(wanted, "bad")
            case Stage(wanted, slot):
                if well and self.now.phase == Verified(wanted, slot):
                    self.slots[slot] = wanted
                    return StagingDone(wanted)
                return StagingFailed(wanted, "full")
            case BeginTrial(wanted, slot):
                whole = slot in self.slots and self.slots[slot].release == wanted.release
                return TrialBegun(wanted) if whole else StagingFailed(wanted, "not whole")
            case JudgeTrial(wanted, slot):
                if verdict == "not enough data":
                    self.todo.append(action)
                return TrialJudged(wanted, verdict)

    @rule(clean=st.booleans())
    def restart(self, clean):
        self.now, self.todo = self.disk, []
        self.feed(Rebooted(dict(self.slots), clean))

    @rule(event=st.sampled_from([MetadataExpired(), ClockWrong()]))
    def halt(self, event):
        active = self.now.active
        self.feed(event)
        assert self.now.active == active

    @rule()
    def operator(self):
        self.feed(OperatorRollback(dict(self.slots)))

    @invariant()
    def a_whole_slot_answers(self):
        """Once something answered, something always does: a slot that is whole, in memory and on the disk."""
        self.ran = self.ran or self.now.active is not None
        for state in (self.now, self.disk):
            for held in (state.active, state.fallback):
                assert held is None or self.slots[held.slot].release == held.wanted.release
            assert (state.active is not None) == self.ran
        if isinstance(self.now.phase, Verified | Staged | Trial):
            assert self.now.fallback is None
            assert self.now.active is None or self.now.phase.slot != self.now.active.slot

    def teardown(self):
        """However it got here, the next release that works becomes active."""
        wanted = wish(9, self.sequence + 1)
        self.todo = []
        self.feed(DesiredSeen(wanted))
        for _ in range(5):
            self.feed(self.result(self.todo.pop(), True, "healthy"))
        assert (self.now.phase, self.now.active.wanted) == (Active(wanted), wanted)


Device.TestCase.settings = settings(stateful_step_count=40)
test_any_sequence_of_events = Device.TestCase


@given(st.lists(st.sampled_from([*to_trial(NEXT), *to_trial(NOW), TrialJudged(NEXT, "healthy"), TrialJudged(NOW, "unhealthy"),
                                 FetchFailed(NEXT, "away"), VerificationFailed(NOW, "bad"), StagingFailed(NEXT, "full"), Rebooted({}),
                                 Rebooted(SOUND), MetadataExpired(), OperatorRollback(SOUND)]), max_size=20))  # fmt: skip
def test_every_state_can_be_saved_and_is_a_fixed_point_of_saving(events):
    now, _ = after(Update(), *events)
    assert Record.from_bytes(Record(durable(now), 3).to_bytes()).update == durable(now) == durable(durable(now))
    assert all(isinstance(held, Refused) for held in now.refused)
