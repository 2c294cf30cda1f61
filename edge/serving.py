"""Serve an agent: its doors, the watchdog's food, and the signals of whoever started it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from .answering import Answering
from .door_settings import DoorSettings
from .doors import Doors
from .systemd import Feeder, Systemd
from .watchdog import Patience, Pulse, judge

SWITCH_S = 0.0001
"""How long a thread that counts answers goes on before one that answers gets its turn: the interpreter's own 5 ms are ten answers."""


@contextmanager
def served(answering: Answering, settings: DoorSettings | None, *, pulse: Pulse | None = None, patience: Patience | None = None,
           systemd: Systemd | None = None) -> Generator[Doors | None, None, None]:  # fmt: skip
    """Doors that are open, and a manager that knows, for as long as the block runs; then what is being answered is ended.

    Args:
        answering: who answers; closing it is the caller's.
        settings: of the doors; None: there are none, and the manager is told all the same.
        pulse: shared with the caller's own loops, so that the watchdog looks at them too.
        patience: when the watchdog is not fed any more.
        systemd: the manager; None: the one of this process's environment, if there is one.

    Ready means that the doors answer, not that a model is there: a device without a release has to run to get one, and says so at /readyz.
    Raises FormatError where the doors cannot listen.
    """
    pulse, patience, systemd = pulse or Pulse(), patience or Patience(), systemd or Systemd()
    with ExitStack() as stack:
        if settings is not None:
            stack.enter_context(_turns(SWITCH_S))
        doors = None if settings is None else stack.enter_context(Doors(answering, settings, pulse, patience))
        feeder = Feeder(systemd, lambda: judge(pulse.vitals(), patience))
        systemd.ready("answers")
        feeder.start()
        try:
            yield doors
        finally:
            systemd.stopping()
            feeder.close()


def serve(answering: Answering, settings: DoorSettings | None = None, stop: threading.Event | None = None, **more: Any) -> None:
    """As `served`, until SIGTERM, SIGINT or `stop`, with the ordinary doors where `settings` says nothing else."""
    ended = stop or threading.Event()
    with _signals(ended), served(answering, settings or DoorSettings(), **more):
        ended.wait()


@contextmanager
def _turns(seconds: float) -> Generator[None, None, None]:
    """Threads of this process take turns so often; as before afterwards."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, seconds))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _signals(ended: threading.Event) -> Generator[None, None, None]:
    """SIGTERM and SIGINT set the event, in the main thread; elsewhere signals are somebody else's."""

    def end(number: int, frame: object) -> None:
        ended.set()

    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
