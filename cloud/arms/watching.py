"""A worker follows the traffic of its rollout: looks twice a second whether the controller has written another, and goes along.

The look is one `stat` in a thread of its own, so that a rollback does not wait for a reload that is being loaded.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from ...sdk.core.errors import PortsideError
from ..deployment.traffic import Traffic, read_traffic, traffic_stamp

EVERY_S, BEGIN_S = 0.5, 30.0
"""How often to look; and how long a server that begins waits for a challenger to be loaded, which may hang."""
log = logging.getLogger("portside.rollout")


class Watch:
    """Of one engine.

    Args:
        folder: of the deployment's generations.
        take: told what is wanted now; blocking.
    """

    def __init__(self, folder: Path, take: Callable[[Traffic], None]) -> None:
        self._folder, self._take, self._seen, self._taken = folder, take, 0, 0
        self._ended, self._looked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="portside-traffic", daemon=True)

    def begin(self) -> None:
        """Go along with what is wanted now, and wait for that a while; then look, until `close`."""
        self._thread.start()
        if not self._looked.wait(BEGIN_S):
            log.warning("The challenger is not loaded after %g s; the champion answers until it is", BEGIN_S)

    def look(self) -> None:
        """Whatever changed since the last look."""
        stamp = self._taken = traffic_stamp(self._folder)
        if stamp == self._seen:
            return
        try:
            self._take(read_traffic(self._folder))
            self._seen = stamp
        except PortsideError as error:  # a file that is broken is made anew by the controller; what runs goes on
            self._seen = stamp
            log.error("The rollout is not followed: %s", error)

    def moved(self) -> bool:
        """Something else is wanted than what `take` was told, or nothing any more: loading may have taken minutes."""
        return self._ended.is_set() or traffic_stamp(self._folder) != self._taken

    def close(self, seconds: float = 10.0) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
            except Exception:  # whatever a package does to its loading, the champion goes on
                log.exception("The rollout is not followed")
                self._seen = traffic_stamp(self._folder)
            self._looked.set()
            self._ended.wait(EVERY_S)
