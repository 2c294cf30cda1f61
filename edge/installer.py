"""What carries out an update: the pure machine, the slots, a source of releases and a judge of trials, put together.

installer = Installer(Slots(OsFiles(), root), source, judge)
installer.boot()                       # says which slot runs
installer.handle(DesiredSeen(wanted))  # from any thread: saves the state, and remembers what is to be done
installer.work()                       # in one thread: does it; again and again while a trial wants more data
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from ..sdk.core.errors import FormatError, IntegrityError, PortsideError, StoreError, TrustError, UnsupportedError
from .slot_index import SlotIndex
from .slots import Boot, Slots
from .update_machine import RULES, Rules, durable, pending, step
from .update_state import (
    BeginTrial,
    Event,
    Fetch,
    FetchDone,
    FetchFailed,
    Held,
    Judged,
    JudgeTrial,
    OperatorRollback,
    Run,
    Stage,
    StagingDone,
    StagingFailed,
    Trial,
    TrialBegun,
    TrialJudged,
    Update,
    VerificationFailed,
    VerificationPassed,
    Verify,
    Wanted,
)

Work: TypeAlias = Fetch | Verify | Stage | BeginTrial | JudgeTrial


class Source(Protocol):
    """Where releases come from: a trust client with its cache of chunks, or a folder on a stick."""

    def fetch(self, wanted: Wanted) -> None:
        """Get what is missing of a release, going on where the last attempt stopped. Raises PortsideError, OSError."""
        ...

    def verify(self, wanted: Wanted) -> None:
        """Hold what was fetched against what was signed.

        Raises IntegrityError, FormatError, TrustError or UnsupportedError where the release itself is at fault, and is then
        refused; StoreError or OSError where it is to be fetched again.
        """
        ...

    def index(self, wanted: Wanted) -> SlotIndex:
        """What a slot of the release must hold on this device. Raises PortsideError, OSError."""
        ...

    def read(self, wanted: Wanted, name: str) -> Iterator[bytes]:
        """The bytes of a file of the index, in pieces. Raises PortsideError, OSError."""
        ...


class Health(NamedTuple):
    """What a judge says, and why."""

    verdict: Judged
    why: str = ""


class Judge(Protocol):
    """Who says whether a trial is healthy."""

    def judge(self, trial: Path, wanted: Wanted, active: Path | None) -> Health:
        """Judge the artifact of a trial beside the active one, on what was seen so far.

        The first call for a wish loads it; a failure to load is "unhealthy", not an error.
        """
        ...

    def end(self) -> None:
        """No trial is under way any more: let go of what was loaded for it."""
        ...


class Installer:
    """Carries out one device's updates.

    Args:
        slots: where releases lie.
        source: where they come from.
        judge: who judges trials.
        rules: of the machine.
        switched: called with the slot that answers from now on; it must not raise.
    """

    def __init__(self, slots: Slots, source: Source, judge: Judge, rules: Rules = RULES,
                 switched: Callable[[Held], None] | None = None) -> None:  # fmt: skip
        self.slots, self.source, self.judge, self.rules, self.switched = slots, source, judge, rules, switched
        self.update = Update()
        self._todo: deque[Work] = deque()
        self._result: Event | None = None
        self._lock = threading.RLock()

    def boot(self, clean: bool = False) -> Boot:
        """Start: once, before anything else. Raises StoreError."""
        with self._lock:
            found = self.slots.boot(clean, self.rules)
            self.update = found.update
            self._todo = deque(action for action in found.actions if not isinstance(action, Run))
        return found

    def handle(self, event: Event) -> Update:
        """Take an event in: the state is on the disk when this returns, and `work` does the rest.

        Raises StoreError where the state cannot be written; then nothing has changed.
        """
        with self._lock:
            then, actions = step(self.update, event, self.rules)
            if durable(then) != durable(self.update):
                self._save(then)
            self.update = then
            self._todo.extend(action for action in actions if not isinstance(action, Run))
            for action in actions:
                if isinstance(action, Run) and self.switched is not None and then.active is not None:
                    self.switched(then.active)
        return then

    def rollback(self) -> Update:
        """Go back to the release before, or end the trial; without a network.

        Raises StoreError where there is nothing to go back to.
        """
        with self._lock:
            before = self.update
            then = self.handle(OperatorRollback(self.slots.sound()))
        if then == before:
            raise StoreError("There is no release to go back to", got="one slot that is whole",
                             fix="Want another release for this device, with a higher sequence.")  # fmt: skip
        return then

    def work(self) -> bool:
        """Do what is to be done, in the order in which it came up, until nothing is or a trial needs more data.

        For one thread. Returns True while a trial is waiting for data, so that it is called again.
        Raises StoreError where the state cannot be written; what was to be done then stays to be done.
        """
        while self._take_in() and (action := self._next()) is not None:
            self._result = self._carry_out(action)
        trial = self.update.phase
        if not isinstance(trial, Trial):
            self.judge.end()
            return False
        with self._lock:
            self._todo.append(JudgeTrial(trial.wanted, trial.slot))
        return True

    def _take_in(self) -> bool:
        """Take in what the last piece of work came to. Where the disk is full it is kept for the next call."""
        if self._result is not None:
            self.handle(self._result)
            self._result = None
        return True

    def _next(self) -> Work | None:
        """The next piece of work that still means something."""
        with self._lock:
            while self._todo:
                action = self._todo.popleft()
                if action.wanted == pending(self.update):
                    return action
        return None

    def _carry_out(self, action: Work) -> Event:
        match action:
            case Fetch(wanted):
                return self._fetch(wanted)
            case Verify(wanted):
                return self._verify(wanted)
            case Stage():
                return self._stage(action)
            case BeginTrial(wanted, slot):
                whole = self.slots.holds(slot, wanted)
                return TrialBegun(wanted) if whole else StagingFailed(wanted, f"slot {slot} is not whole")
            case JudgeTrial():
                return self._judge(action)

    def _fetch(self, wanted: Wanted) -> Event:
        try:
            self.source.fetch(wanted)
        except Exception as error:  # recorded: whatever a source does wrong, the device goes on
            return FetchFailed(wanted, _said(error))
        return FetchDone(wanted)

    def _verify(self, wanted: Wanted) -> Event:
        try:
            self.source.verify(wanted)
        except (IntegrityError, FormatError, TrustError, UnsupportedError) as error:
            return VerificationFailed(wanted, str(error))
        except Exception as error:  # recorded: as above
            return FetchFailed(wanted, _said(error))
        return VerificationPassed(wanted)

    def _stage(self, action: Stage) -> Event:
        wanted = action.wanted
        self.judge.end()  # an abandoned trial may have that slot's files open
        try:
            index = self.source.index(wanted)
            if index.wanted.release != wanted.release:
                raise IntegrityError("The index is of another release", got=index.wanted.release, expected=wanted.release)
            self.slots.stage(action.slot, index, lambda name: self.source.read(wanted, name))
        except Exception as error:  # recorded: as above
            return StagingFailed(wanted, _said(error))
        return StagingDone(wanted)

    def _judge(self, action: JudgeTrial) -> Event:
        active = self.update.active
        beside = self.slots.artifact(active.slot) if active else None
        found = self.judge.judge(self.slots.artifact(action.slot), action.wanted, beside)
        return TrialJudged(action.wanted, found.verdict, found.why)

    def _save(self, then: Update) -> None:
        try:
            self.slots.save(then)
        except OSError as error:
            raise StoreError(f"The state of updates cannot be written: {error.strerror or error}", got=str(self.slots.root),
                             fix="Free some space on the disk of the slots.") from error  # fmt: skip


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, PortsideError | OSError) else repr(error)
