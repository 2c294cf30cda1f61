"""When the watchdog is fed: a rule from values to a verdict, and the pulse that gathers them.

- Every loop that reports here has turned within `turn_s`.
- Answers come: none is being made for longer than `wedged_s` while no other one ends in that time. A single call that hangs beside
  others that end is told of, not cured: a restart would take the answers of all.

An agent that nobody asks is alive. One that is not is restarted by systemd, which is the only thing that ends a native call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count


@dataclass(frozen=True)
class Patience:
    """turn_s: between two turns of a loop. wedged_s: of an answer, loading of models included."""

    turn_s: float = 20.0
    wedged_s: float = 60.0


@dataclass(frozen=True)
class Vitals:
    """What is known at a moment.

    Attributes:
        turned_s: loop -> seconds since it turned last.
        oldest_s: for how long the oldest answer that is not there has been in the making; None: there is none.
        ended_s: seconds since an answer (or a refusal) came out last; None: never.
        running: answers in the making.
    """

    turned_s: Mapping[str, float] = field(default_factory=dict[str, float])
    oldest_s: float | None = None
    ended_s: float | None = None
    running: int = 0


@dataclass(frozen=True)
class Verdict:
    """alive: feed it. why: what is wrong, also where it is not enough to be ended for; empty: nothing."""

    alive: bool
    why: str = ""


def judge(vitals: Vitals, patience: Patience = Patience()) -> Verdict:
    """The rule.

    >>> judge(Vitals({"doors": 1.0}))
    Verdict(alive=True, why='')
    >>> judge(Vitals({"doors": 1.0}, oldest_s=90.0, ended_s=0.2, running=2))
    Verdict(alive=True, why='an answer has been in the making for 90 s')
    >>> judge(Vitals({"doors": 1.0}, oldest_s=90.0, ended_s=90.1, running=1)).alive
    False
    """
    late = sorted(name for name, seconds in vitals.turned_s.items() if seconds > patience.turn_s)
    if late:
        return Verdict(False, f"the loop {late[0]!r} has not turned for {vitals.turned_s[late[0]]:.0f} s")
    if vitals.oldest_s is None or vitals.oldest_s <= patience.wedged_s:
        return Verdict(True)
    why = f"an answer has been in the making for {vitals.oldest_s:.0f} s"
    others = vitals.ended_s is not None and vitals.ended_s <= patience.wedged_s
    return Verdict(True, why) if others else Verdict(False, f"{why}, and none has ended since")


class Pulse:
    """Gathers vitals, from any thread. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._turned: dict[str, float] = {}
        self._began: dict[int, float] = {}
        self._ended: float | None = None
        self._numbers = count()

    def turn(self, loop: str) -> None:
        """This loop turns; from the first time on it has to."""
        self._turned[loop] = self._clock()

    def rest(self, loop: str) -> None:
        """This loop has ended in good order."""
        self._turned.pop(loop, None)

    @contextmanager
    def answering(self) -> Generator[None, None, None]:
        """Around the making of an answer."""
        number = next(self._numbers)
        with self._lock:
            self._began[number] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._began[number]
                self._ended = self._clock()

    def vitals(self) -> Vitals:
        """As of now."""
        with self._lock:
            now, began, ended = self._clock(), list(self._began.values()), self._ended
            turned = {name: now - last for name, last in list(self._turned.items())}
        return Vitals(turned, now - min(began) if began else None, None if ended is None else now - ended, len(began))
