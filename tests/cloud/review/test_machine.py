"""The queue against a model of it, in any order of calls: no item is held twice, no decision is lost, undo gives back, leases end."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from made_reviews import NOW, item, number
from sqlalchemy import event

from portside.cloud.records.database import Database
from portside.cloud.records.reading import labels_of
from portside.cloud.review import overview, queue
from portside.cloud.review.refusals import TakenError
from portside.sdk.core.errors import InputError

ITEMS = 5
REVIEWERS = ("ana", "ben", "cem")
LEASE = 1000
who, which, said = st.sampled_from(REVIEWERS), st.integers(0, ITEMS - 1), st.integers(0, 1)


@dataclass
class Known:
    """What the model knows of one item."""

    state: str = "pending"
    by: str | None = None
    until: int = 0
    answer: int | None = None
    label: int | None = None
    decisions: list[list] = field(default_factory=list)  # [token, reviewer, value, undone]


class Reviews(RuleBasedStateMachine):
    """Calls by three reviewers while time passes; what is sent may be sent twice."""

    @staticmethod
    def place():
        """Where an empty database would be; "": a file."""
        return ""

    @initialize(deadlines=st.lists(st.one_of(st.none(), st.integers(1, 6000)), min_size=ITEMS, max_size=ITEMS))
    def begin(self, deadlines):
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database.open(self.place() or Path(self.folder.name) / "r.sqlite")
        if self.database.kind == "sqlite":  # what is tested here is order, not disks: see test_killed.py for those
            event.listen(self.database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
            self.database.engine.dispose()
        queue.prepare(self.database)
        self.now, self.made, self.deadlines = NOW, 0, [None if one is None else NOW + one for one in deadlines]
        self.items = [Known() for _ in range(ITEMS)]
        queue.enqueue(self.database, [item(place, deadline_ms=self.deadlines[place]) for place in range(ITEMS)])

    def free(self, place):
        one, deadline = self.items[place], self.deadlines[place]
        return one.state == "pending" and one.until <= self.now and (deadline is None or deadline > self.now)

    @rule(reviewer=who)
    def lease(self, reviewer):
        got = queue.lease(self.database, reviewer, self.now, ms=LEASE)
        if got is None:
            assert not any(self.free(place) for place in range(ITEMS))
            return
        place = int(got.priority)
        assert self.free(place), f"{got.id} was given out although {self.items[place]}"
        self.items[place].by, self.items[place].until = reviewer, self.now + LEASE

    @rule(reviewer=who, place=which, value=said, twice=st.booleans())
    def decide(self, reviewer, place, value, twice):
        one, self.made = self.items[place], self.made + 1
        token = number(self.made, 9)
        theirs = one.by in (None, reviewer) or one.until <= self.now
        allowed = (one.state == "pending" and theirs) or (one.state == "expired" and one.by == reviewer)
        for _ in range(1 + twice):
            try:
                made = queue.decide(self.database, number(place), reviewer, {"label": value}, self.now, token=token)
            except TakenError:
                assert not allowed
                return
            assert allowed and made.late == (one.state == "expired")
        one.decisions.append([token, reviewer, value, False])
        one.label = value
        if one.state == "pending":
            one.state, one.by, one.until, one.answer = "decided", reviewer, 0, value

    @rule(reviewer=who, place=which, again=st.booleans())
    def undo(self, reviewer, place, again):
        one = self.items[place]
        mine = [made for made in one.decisions if made[1] == reviewer]
        if again and one.decisions:  # a copy of an undo, by its token
            with suppress(TakenError):
                queue.undo(self.database, number(place), reviewer, self.now, token=one.decisions[0][0], ms=LEASE)
            self.undone(one, one.decisions[0], reviewer)
            return
        current = next((made for made in reversed(one.decisions) if not made[3]), None) if one.state == "decided" else None
        try:
            queue.undo(self.database, number(place), reviewer, self.now, ms=LEASE)
        except (TakenError, InputError):
            assert (current or [0, None])[1] != reviewer if current else not mine
            return
        self.undone(one, current or mine[-1], reviewer)

    def undone(self, one, made, reviewer):
        if made[1] != reviewer or made[3]:
            return
        current = one.state == "decided" and next(held for held in reversed(one.decisions) if not held[3]) is made
        made[3] = True
        one.label = next((held[2] for held in reversed(one.decisions) if not held[3]), None)
        if current:
            one.state, one.by, one.until, one.answer = "pending", reviewer, self.now + LEASE, None

    @rule(reviewer=who, place=which)
    def skip(self, reviewer, place):
        one = self.items[place]
        allowed = one.state == "pending" and (one.by in (None, reviewer) or one.until <= self.now)
        try:
            queue.skip(self.database, number(place), reviewer, self.now)
        except TakenError:
            assert not allowed
            return
        assert allowed
        one.by, one.until = None, 0

    @rule(reviewer=who, places=st.sets(which))
    def renew(self, reviewer, places):
        kept = queue.renew(self.database, [number(place) for place in places], reviewer, self.now, ms=LEASE)
        mine = {place for place in places if self.items[place].state == "pending" and self.items[place].by == reviewer}
        assert set(kept) == {number(place) for place in mine}
        for place in mine:
            self.items[place].until = self.now + LEASE

    @rule(ms=st.integers(1, 2500))
    def wait(self, ms):
        self.now += ms

    @rule()
    def expire(self):
        waiting = {place for place in range(ITEMS) if self.items[place].state == "pending"}
        passed = {place for place in waiting if (self.deadlines[place] or self.now + 1) <= self.now}
        assert {one.id for one in queue.expire(self.database, self.now)} == {number(place) for place in passed}
        for place in passed:
            self.items[place].state, self.items[place].answer = "expired", 1

    @rule()
    def send_everything_again(self):
        queue.enqueue(self.database, [item(place) for place in range(ITEMS)])

    @invariant()
    def as_known(self):
        for place, one in enumerate(self.items):
            told = queue.status(self.database, number(place), self.now)
            state = "leased" if one.state == "pending" and one.until > self.now else one.state
            assert (told.state, (told.answer or {}).get("label")) == (state, one.answer), f"item {place}: {told}, not {one}"
        labels = labels_of(self.database, [number(place, 2) for place in range(ITEMS)])
        assert [labels[key].values["label"] if (key := (number(place, 2), 0)) in labels else None for place in range(ITEMS)] == [
            one.label for one in self.items
        ]
        made = sum(not held[3] for one in self.items for held in one.decisions)
        assert sum(len(overview.history(self.database, reviewer, 500)) for reviewer in REVIEWERS) == made

    def teardown(self):
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


def test_the_queue_does_as_its_model(effort):
    run_state_machine_as_test(Reviews, settings=settings(max_examples=8 * effort, stateful_step_count=25))


@pytest.mark.slow
def test_so_it_does_on_postgresql(postgresql, effort):
    machine = type("OnPostgresql", (Reviews,), {"place": staticmethod(postgresql.database)})
    run_state_machine_as_test(machine, settings=settings(max_examples=5 * effort, stateful_step_count=20))
