"""The monitor as a process: rounds by the clock until a signal ends it, whatever the database, a package or a receiver does.

    python -m portside.cloud.monitoring.process DEPLOYMENT.toml

Started by the first serving worker where the file has a `[monitor]` section, or apart by `portside monitor`. Of several one acts, the
others wait for its lease to end.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import PortsideError
from ..alerts.state import Alert
from ..alerts.targets import Targets
from ..beside import run_beside, stop_on_signals
from ..deployment.file import Deployment, read
from ..deployment.generation import folder_of as generations_of
from ..deployment.generation import stamp
from ..deployment.monitor import Monitor
from ..records.database import Database, reason
from . import otlp
from .about import About, about
from .absorbing import BOARDS
from .board import folder_of
from .counting import Note, quiet
from .courier import Courier
from .cursors import read_cursor
from .emergency import Emergency
from .pipeline import Pipeline, Round
from .raising import read_alerts
from .tables import prepare
from .turn import LostTurnError, Turn

OTLP_S = 15.0
log = logging.getLogger("portside.monitor")


class Keeper:
    """Keeps the monitor of one deployment going.

    Args:
        deployment: read; its package is opened here.
        clock: Unix milliseconds.
        note: told where the work stands.

    Attributes:
        rounds: that ended well.
        fault: why the last one did not, or "".
    """

    def __init__(self, deployment: Deployment, clock: Callable[[], int] | None = None, note: Note = quiet) -> None:
        self._deployment, self._note = deployment, note
        self._clock = clock or (lambda: time.time_ns() // 1_000_000)
        self._generations = generations_of(deployment.name, deployment.path)
        self._folder, self._seen = folder_of(self._generations), stamp(self._generations)
        self.about: About = about(deployment)
        self.targets = Targets(self.about.settings.webhook_url(), self.about.settings.alertmanager)
        self.rounds, self.fault = 0, ""
        self._pipeline: Pipeline | None = None
        self._courier: Courier | None = None
        self._emergency: Emergency | None = None
        self._client, self._exported = httpx.Client(), 0.0
        self._known: tuple[dict[tuple[str, str], Alert], dict[str, dict[str, int]]] = ({}, {})
        self._stop = threading.Event()

    def run(self) -> None:
        """Rounds until `stop`."""
        while not self._stop.is_set():
            done = self.round()
            if not done.waiting:
                self._stop.wait(self.about.settings.every_s)
        self.close()

    def stop(self) -> None:
        """End after this round."""
        self._stop.set()

    def round(self) -> Round:
        """One round; what goes wrong is kept in `fault` and in the log, and the next one tries again."""
        try:
            done = self._round()
        except LostTurnError as error:
            self._failed(str(error), urgent=False)
        except SQLAlchemyError as error:
            self._failed(reason(error), urgent=True)
        except PortsideError as error:
            self._failed(str(error), urgent=True)
        else:
            self.fault, self.rounds = "", self.rounds + 1
            return done
        return Round()

    def close(self) -> None:
        """Let another monitor begin at once; hooks end."""
        self._leave()
        self._client.close()

    def _leave(self) -> None:
        if self._courier is not None:
            self._courier.close()
        if self._pipeline is not None:
            self._pipeline.close()
            try:
                self._pipeline.turn.give_back()
            except SQLAlchemyError as error:
                log.warning("The lease ends by itself: %s", reason(error))
            self._pipeline.turn.database.close()
        self._pipeline = self._courier = None

    def _round(self) -> Round:
        self._follow()
        pipeline = self._pipeline or self._open()
        if self._emergency is not None and pipeline.turn.take(self._clock()):
            self._emergency.save(pipeline.turn, self._clock())
            self._emergency = None
        done = pipeline.step()
        if done.acted:
            self._remember(pipeline)
            if done.events and self._courier is not None:
                self._courier.hurry()
            self._export(pipeline)
        return done

    def _follow(self) -> None:
        """Take up what the file says now, when the server was told to (`portside reload`); what cannot be read changes nothing."""
        if (seen := stamp(self._generations)) == self._seen:
            return
        self._seen = seen
        try:
            deployment = read(self._deployment.path)
            targets = Targets((deployment.monitor or Monitor()).webhook_url(), (deployment.monitor or Monitor()).alertmanager)
            known = about(deployment)
        except PortsideError as error:
            log.error("The monitor goes on with what it knows: %s", error)
            return
        self._leave()
        self._deployment, self.about, self.targets = deployment, known, targets

    def _open(self) -> Pipeline:
        """Open the database, prepare its tables, start hooks and deliveries. Raises PortsideError, SQLAlchemyError."""
        database = Database.open(self._deployment.records.place(self._deployment.folder))
        try:
            prepare(database)
            if self.about.signature is None:
                self.about = about(self._deployment, database)
        except SQLAlchemyError:
            database.close()
            raise
        turn = Turn(database, self.about.name)
        self._pipeline = Pipeline(turn, self.about, self._clock, self.targets.urls, self._folder, self._note)
        self._courier = Courier(turn, self.targets, self._clock, self._note)
        self._courier.start()
        for consumer in self._pipeline.consumers:
            consumer.start()
        return self._pipeline

    def _remember(self, pipeline: Pipeline) -> None:
        """What an emergency would begin from."""
        database, name = pipeline.turn.database, self.about.name
        self._known = (dict(read_alerts(database, name)), dict(read_cursor(database, name, BOARDS).data))

    def _failed(self, fault: str, urgent: bool) -> None:
        """Say it once; while the database takes no writes alerts are judged without it."""
        if fault != self.fault:
            log.error("The monitor of %s cannot go on for now: %s", self.about.name, fault)
        self.fault = fault
        if urgent:
            if self._emergency is None:
                alerts, absorbed = self._known
                self._emergency = Emergency(self.about, self.targets, self._folder, alerts, absorbed)
            self._emergency.step(self._clock(), self.about.settings.every_s, fault)

    def _export(self, pipeline: Pipeline) -> None:
        url = self.about.settings.otlp
        if url is None or time.monotonic() - self._exported < OTLP_S:
            return
        self._exported = time.monotonic()
        try:
            otlp.send(self._client, url, pipeline.figures, self.about.name, self._clock())
        except PortsideError as error:
            log.warning("%s", error)


def main(path: Path) -> None:
    """Monitor until SIGTERM or SIGINT. Raises PortsideError for a deployment that cannot be monitored."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    deployment = read(path)
    keeper = Keeper(deployment)
    stop_on_signals(keeper.stop)
    log.info("%s is monitored", keeper.about.name)
    keeper.run()


if __name__ == "__main__":
    run_beside(main)
