"""The controller as a process: looks by the clock until a signal ends it, whatever the database does.

    python -m portside.cloud.rollouts.process DEPLOYMENT.toml

Started by the first serving worker where a `[rollout]` is served. Of several one acts, the others wait for its lease to end.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import PortsideError
from ..beside import run_beside, stop_on_signals
from ..deployment.file import Deployment, read
from ..deployment.generation import folder_of, stamp
from ..monitoring.turn import LostTurnError
from ..records.database import Database, reason
from .controller import GAP_MS, Controller, Look, turn_of
from .known import digests_of
from .tables import prepare

EVERY_S, IDLE_S = 1.0, 5.0
"""Between two looks while a rollout goes on, and while none does."""
log = logging.getLogger("portside.rollout")


class Steersman:
    """Keeps the controller of one deployment looking.

    Args:
        deployment: as its file was read.
        clock: Unix milliseconds.
        gap_ms: see `Controller`.

    Attributes:
        looks: that ended well.
        fault: why the last one did not, or "".
    """

    def __init__(self, deployment: Deployment, clock: Callable[[], int] | None = None, gap_ms: int = GAP_MS) -> None:
        self._deployment, self._clock, self._gap_ms = deployment, clock or (lambda: time.time_ns() // 1_000_000), gap_ms
        self._folder = folder_of(deployment.name, deployment.path)
        self._seen = stamp(self._folder)
        self._challengers = digests_of(deployment)
        self._controller: Controller | None = None
        self.looks, self.fault = 0, ""
        self._stop = threading.Event()

    def run(self) -> None:
        """Looks until `stop`."""
        while not self._stop.is_set():
            done = self.look()
            busy = done.held is not None and not done.held.closed
            if not done.waiting:
                self._stop.wait(EVERY_S if busy else IDLE_S)
        self.close()

    def stop(self) -> None:
        """End after this look."""
        self._stop.set()

    def look(self) -> Look:
        """One look; what goes wrong is kept in `fault` and in the log, and the next one tries again."""
        try:
            self._follow()
            done = (self._controller or self._open()).look()
        except SQLAlchemyError as error:
            self._failed(reason(error))
        except (LostTurnError, PortsideError, OSError, ValueError) as error:
            self._failed(str(error))
        except Exception as error:  # what nobody thought of must not end who can still go back
            log.debug("A look failed", exc_info=True)
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self.fault, self.looks = "", self.looks + 1
            return done
        return Look()

    def close(self) -> None:
        """Let another controller begin at once."""
        controller, self._controller = self._controller, None
        if controller is None:
            return
        try:
            controller.turn.give_back()
        except SQLAlchemyError as error:
            log.warning("The lease ends by itself: %s", reason(error))
        controller.turn.database.close()

    def _follow(self) -> None:
        """Take up what the file says now, when the server was told to (`portside reload`); what cannot be read changes nothing."""
        if (seen := stamp(self._folder)) == self._seen:
            return
        self._seen = seen
        try:
            deployment = read(self._deployment.path)
            challengers = digests_of(deployment)
        except PortsideError as error:
            log.error("The controller goes on with what it knows: %s", error)
            return
        self.close()
        self._deployment, self._challengers = deployment, challengers

    def _open(self) -> Controller:
        """Raises PortsideError, SQLAlchemyError."""
        database = Database.open(self._deployment.records.place(self._deployment.folder))
        try:
            prepare(database)
        except SQLAlchemyError:
            database.close()
            raise
        name = self._deployment.name
        self._controller = Controller(turn_of(database, name), name, self._folder, self._challengers, self._clock, self._gap_ms)
        return self._controller

    def _failed(self, fault: str) -> None:
        """Say it once."""
        if fault != self.fault:
            log.error("The rollout of %s cannot go on for now: %s", self._deployment.name, fault)
        self.fault = fault


def main(path: Path) -> None:
    """Look until SIGTERM or SIGINT. Raises PortsideError for a deployment that cannot be read."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    steersman = Steersman(read(path))
    stop_on_signals(steersman.stop)
    steersman.run()


if __name__ == "__main__":
    run_beside(main)
