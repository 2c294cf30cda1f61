"""The updates of an agent, from one thread: look what is signed, let the installer work, show a trial what was answered, wait with jitter.

Nothing here stops answers. What a mirror, a clock or a disk does is a reason, kept in `stopped` for whoever looks.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..sdk.core.errors import StoreError
from ..sdk.core.signature import Array
from .installer import Installer
from .stopped import Reason, Stopped
from .trial import TrialJudge
from .update_machine import pending
from .update_state import Active, ClockWrong, DesiredSeen, Idle, MetadataExpired, RolledBack, Trial, Update, Wanted
from .upload import wait_s

if TYPE_CHECKING:
    from .trust import Trust

BASE_S, CAP_S = 5.0, 900.0
SHOWN = 256
"""Answers that may wait to be shown to a trial; of more the oldest are left out."""


class Forgets(Protocol):
    """A source that keeps what it fetched until it is told."""

    def forget(self) -> None:
        """It lies in a slot now."""
        ...


class NoSource:
    """The source of a device that gets no updates."""

    def fetch(self, wanted: Wanted) -> None:
        """Raises StoreError."""
        raise StoreError("This device gets no updates", got=wanted.release, fix="Add [updates] to agent.toml.")

    verify = fetch

    def index(self, wanted: Wanted) -> Any:
        """Raises StoreError."""
        self.fetch(wanted)

    def read(self, wanted: Wanted, name: str) -> Any:
        """Raises StoreError."""
        self.fetch(wanted)


class Updating:
    """What the agent's worker does for updates, a turn at a time.

    Args:
        installer, judge: booted.
        trust: who says what is signed; None: nobody is asked.
        name, platform: of the release.
        every_s: how often is looked; the first time at once.
        server: only releases that the server named (`desired`) are wanted.
        source: forgets what it fetched once that lies in a slot.
        clock: monotonic seconds.

    Attributes:
        stopped: why nothing is installed now; None: nothing is in the way.
        failures: attempts in a row that came to nothing.
        due: when is looked next, by `clock`.
    """

    def __init__(self, installer: Installer, judge: TrialJudge, trust: Trust | None = None, name: str = "", platform: str = "", *,
                 every_s: float = 3600.0, server: bool = False, source: Forgets | None = None, seed: int | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self.installer, self.judge, self.trust, self._name, self._platform = installer, judge, trust, name, platform
        self._every_s, self._server, self._source, self._clock = every_s, server, source, clock
        self._seed = secrets.randbits(32) if seed is None else seed
        self._turns, self._counted, self._release = 0, -1, ""
        self._forgot: Wanted | None = None
        self._shown: deque[tuple[Mapping[str, Array], Mapping[str, Array]]] = deque(maxlen=SHOWN)
        self.stopped: Stopped | None = None
        self.failures, self.due = 0, clock()

    @property
    def trying(self) -> bool:
        """A trial is under way: it is to be shown what is answered."""
        return isinstance(self.installer.update.phase, Trial)

    def show(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """What was answered, typed; from any thread. The trial is asked the same in a later turn."""
        self._shown.append((inputs, outputs))

    def desired(self, release: str) -> None:
        """The server wants this release here; from any thread."""
        if self._server and release != self._release:
            self._release, self.due = release, self._clock()

    def turn(self) -> None:
        """Do what is due. Raises StoreError where the state cannot be written; it is tried again."""
        if self.trust is not None and self._clock() >= self.due and (self._release or not self._server):
            self._look(self.trust)
        if self.installer.work() and (some := min(len(self._shown), SHOWN)):
            for _ in range(some):
                self.judge.observe(*self._shown.popleft())
            self.installer.work()
        self._settle()

    def _look(self, trust: Trust) -> None:
        """Ask what is signed, and want it."""
        found = trust.refresh()
        if isinstance(found, Stopped):
            self._stop(found)
            return
        with found:
            offer = found.find(self._name, self._platform, release=self._release or None)
        if isinstance(offer, Stopped):
            self._stop(offer)
            return
        self.stopped = None
        self.installer.handle(DesiredSeen(Wanted(offer.index.release, offer.index.sequence)))
        self._wait(self.failures)

    def _stop(self, stopped: Stopped) -> None:
        self.stopped = stopped
        if stopped.reason is Reason.EXPIRED:
            self.installer.handle(MetadataExpired())
        elif stopped.reason is Reason.CLOCK:
            self.installer.handle(ClockWrong())
        self._wait(self.failures + 1)

    def _settle(self) -> None:
        """An attempt that came to nothing is made again after a pause; what lies in a slot need not be kept twice."""
        phase = self.installer.update.phase
        if pending(self.installer.update) is None:
            failed = isinstance(phase, Idle) and bool(phase.why)
            if failed and self._attempts_end():
                self._wait(self.failures + 1)
            elif not failed and self.stopped is None:
                self.failures = 0
        if self._source is not None and isinstance(phase, Active) and phase.wanted != self._forgot:
            self._source.forget()
            self._forgot = phase.wanted

    def _attempts_end(self) -> bool:
        """A failure is counted once for each look."""
        counted, self._counted = self._counted, self._turns
        return counted != self._turns

    def _wait(self, failures: int) -> None:
        """Until the next look: a while longer after each failure, never two devices at once."""
        self.failures, self._turns = failures, self._turns + 1
        jitter = 0.9 + wait_s(1, self._seed + self._turns, 0.2, 0.2)
        pause = wait_s(failures, self._seed, BASE_S, CAP_S) if failures else self._every_s * jitter
        self.due = self._clock() + pause


def described(update: Update) -> dict[str, Any]:
    """Where updates stand, JSON-ready."""

    def held(one: Any) -> dict[str, Any] | None:
        return None if one is None else {"slot": one.slot, "release": one.wanted.release, "sequence": one.wanted.sequence}

    phase = update.phase
    name = "rolled back" if isinstance(phase, RolledBack) else type(phase).__name__.lower()
    under = pending(update)
    return {
        "phase": name, "why": getattr(phase, "why", ""), "active": held(update.active), "fallback": held(update.fallback),
        "under_way": None if under is None else {"release": under.release, "sequence": under.sequence}, "halted": update.halted,
        "refused": [{"release": one.wanted.release, "sequence": one.wanted.sequence, "why": one.why} for one in update.refused],
    }  # fmt: skip
