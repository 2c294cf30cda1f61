"""A worker follows the generations of its deployment: looks twice a second for a newer one, and says what it serves.

The look is one `stat` in a thread of its own. A generation that cannot be loaded leaves the running version serving; the reason
stands in this worker's state file, in the log and on `/metrics`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from ..sdk.core.errors import PortsideError
from .deployment.file import Deployment
from .deployment.generation import Generation, State, WorkerState, folder_of, forget_state, read_generation, stamp, write_state
from .deployment.resolving import Resolved
from .host import Host
from .reloading import resolved_of

EVERY_S = 0.5
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


class Follower:
    """Of one host. `number`: the generation that it began with."""

    def __init__(self, host: Host, number: int = 0) -> None:
        deployment = host.resolved.deployment
        self._host, self._path, self._number = host, deployment.path, number
        self._folder = folder_of(deployment.name, deployment.path)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="portside-follow", daemon=True)
        self._seen = stamp(self._folder)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; the state file goes."""
        self._ended.set()
        self._quietly(lambda: forget_state(self._folder, os.getpid()))

    def _follow(self) -> None:
        while self._host.engine is None and not self._host.failed and not self._ended.wait(0.1):
            pass
        if self._host.failed:
            self._say("failed", self._host.fault, self._number)
        else:
            self._say("serving", seen=self._number)
        while not self._ended.wait(EVERY_S):
            now = stamp(self._folder)
            if now != self._seen:
                self._seen = now
                self._take_up()

    def _take_up(self) -> None:
        """The newest generation, unless it is the one that is served."""
        found: Generation | None = None
        try:
            found = read_generation(self._folder)
            if found is None or found.number == self._number:
                return
            self._say("loading", seen=found.number)
            self._host.swap(resolved_of(found, self._path), served=self._served(found.number))
        except Exception as error:  # whatever a package does to its loading, the running version goes on
            log.error("The new version is not taken up, the old one goes on: %s", error)
            self._say("failed", str(error), found.number if found else 0)
            if self._host.engine is not None:
                self._host.engine.metrics.reloaded("failed")

    def _served(self, number: int) -> Callable[[], None]:
        def served() -> None:
            self._number = number
            self._say("serving", seen=number)

        return served

    def _say(self, state: State, why: str = "", seen: int = 0) -> None:
        if not self._ended.is_set():
            self._quietly(lambda: write_state(self._folder, WorkerState(os.getpid(), self._number, state, why, seen)))

    def _quietly(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:  # a home that cannot be written: reloads are not confirmed, serving goes on
            log.warning("The state of this worker cannot be written: %s", error)
