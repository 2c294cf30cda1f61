"""A worker follows the generations of its deployment: looks twice a second for a newer one, and says what it serves.

The look is two `stat`s in a thread of its own. What is proposed is loaded, warmed and held until every worker holds it; then they make
it the newest generation and exchange. Where one cannot load it all go on with what they serve; the reason stands in their state
files, in the log and on `/metrics`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..sdk.core.errors import PortsideError
from .answering.answers import Answerer
from .deployment.file import Deployment
from .deployment.generation import (
    Generation,
    State,
    WorkerState,
    folder_of,
    forget_state,
    read_generation,
    read_states,
    stamp,
    write_generation,
    write_state,
)
from .deployment.proposal import PROPOSED, agreed, proposed, refusal, refuse
from .deployment.resolving import Resolved
from .host import Host
from .reloading import alive, resolved_of

EVERY_S, AGREE_S = 0.5, 0.1
"""How often to look for something new, and for the others while it is held."""
STARTED = "PORTSIDE_STARTED"
"""In the environment: Unix seconds when the server was started. Workers inherit it, also those that replace one that died."""
log = logging.getLogger("portside.reload")


def note_start() -> None:
    """Once per server, in the process that starts its workers."""
    os.environ.setdefault(STARTED, repr(time.time()))


def newest(deployment: Deployment) -> tuple[int, Resolved | None]:
    """The generation that a worker begins with: one written since the server started, else 0 and what the file says (None)."""
    folder = folder_of(deployment.name, deployment.path)
    try:
        found = read_generation(folder)
        if found is None or found.written <= float(os.environ.get(STARTED, "inf")):
            return 0, None
        return found.number, resolved_of(found, deployment.path)
    except PortsideError as error:
        log.error("The generation cannot be used, the deployment file is: %s", error)
        return 0, None


@dataclass(frozen=True)
class _Held:
    """A generation that is loaded and warm, and not served yet."""

    made: Generation
    resolved: Resolved
    engine: Answerer


class Follower:
    """Of one host. `number`: the generation that it began with."""

    def __init__(self, host: Host, number: int = 0) -> None:
        deployment = host.resolved.deployment
        self._host, self._path, self._number = host, deployment.path, number
        self._folder = folder_of(deployment.name, deployment.path)
        self._ended, self._saying = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="portside-follow", daemon=True)
        self._seen, self._asked = stamp(self._folder), 0 if number or self._underway() else stamp(self._folder, PROPOSED)
        self._held: _Held | None = None

    def start(self) -> None:
        """Begin to look. It says at once that it loads: a reload that comes the moment this worker is ready finds it."""
        self._say("loading", seen=self._number)
        self._thread.start()

    def close(self) -> None:
        """Look no more; the state file goes, also one that is being written."""
        self._ended.set()
        with self._saying:
            self._quietly(lambda: forget_state(self._folder, os.getpid()))

    def _underway(self) -> bool:
        """Something was proposed to this server before this worker began: it takes the place of one that died."""
        try:
            asked = proposed(self._folder)
        except PortsideError:
            return False
        return asked is not None and asked.written > float(os.environ.get(STARTED, "inf"))

    def _follow(self) -> None:
        while self._host.engine is None and not self._host.failed and not self._ended.wait(0.1):
            pass
        if self._host.failed:
            self._say("failed", self._host.fault, self._number)
        else:
            self._say("serving", seen=self._number)
        while not self._ended.wait(EVERY_S if self._held is None else AGREE_S):
            self._look()
        self._let_go()

    def _look(self) -> None:
        """Whatever changed since the last look."""
        newest, asked = stamp(self._folder), stamp(self._folder, PROPOSED)
        if newest != self._seen:
            self._seen = newest
            self._take_up()
        if asked != self._asked:
            self._asked = asked
            self._prepare()
        elif self._held is not None:
            self._agree(self._held)

    def _prepare(self) -> None:
        """Load and warm what is proposed, and say that it is ready."""
        asked: Generation | None = None
        self._let_go()
        try:
            asked = proposed(self._folder, self._number)
            if asked is None:
                return
            self._say("loading", seen=asked.number)
            resolved = resolved_of(asked, self._path)
            self._held = _Held(asked, resolved, self._host.prepare(resolved))
            self._say("ready", seen=asked.number)
        except Exception as error:  # whatever a package does to its loading, the running version goes on
            number, why = asked.number if asked else 0, str(error)
            self._not_taken(why, number)
            self._quietly(lambda: refuse(self._folder, number, f"worker {os.getpid()}: {why}"))

    def _agree(self, held: _Held) -> None:
        """Where all hold it, it is the newest generation; where one refused it, it is nothing."""
        why = refusal(self._folder, held.made.number)
        if why is not None:
            self._let_go()
            self._not_taken(why, held.made.number)
        elif agreed(held.made.number, read_states(self._folder, alive)):
            self._quietly(lambda: write_generation(self._folder, held.made))

    def _take_up(self) -> None:
        """The newest generation, unless it is the one that is served."""
        found: Generation | None = None
        try:
            found = read_generation(self._folder)
            if found is None or found.number == self._number:
                return
            held, self._held = self._held, None
            if held is not None and held.made.number == found.number:
                self._host.take_up(held.resolved, held.engine, served=self._served(found.number))
                return
            if held is not None:
                self._host.drop(held.engine)
            self._say("loading", seen=found.number)
            self._host.swap(resolved_of(found, self._path), served=self._served(found.number))
        except Exception as error:  # as above
            self._not_taken(str(error), found.number if found else 0)

    def _not_taken(self, why: str, number: int) -> None:
        log.error("The new version is not taken up, the old one goes on: %s", why)
        self._say("failed", why, number)
        if self._host.engine is not None:
            self._host.engine.metrics.reloaded("failed")

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._host.drop(held.engine)

    def _served(self, number: int) -> Callable[[], None]:
        def served() -> None:
            self._number = number
            self._say("serving", seen=number)

        return served

    def _say(self, state: State, why: str = "", seen: int = 0) -> None:
        with self._saying:
            if not self._ended.is_set():
                self._quietly(lambda: write_state(self._folder, WorkerState(os.getpid(), self._number, state, why, seen)))

    def _quietly(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:  # a home that cannot be written: reloads are not confirmed, serving goes on
            log.warning("The state of this worker cannot be written: %s", error)
