"""What goes on by itself beside the queue: deadlines are kept and webhooks sent, by a thread in each process that serves a deployment with
reviews, whether or not it has a desk, and in each that serves a desk.

Any number of processes may do it: both are claimed in the database, so each deadline passes once and each notice is sent by one.
"""

from __future__ import annotations

import logging
import threading
import time

import httpx

from ...sdk.core.errors import PortsideError
from ..desk.desk import Desk
from ..desk.opening import REVIEWED
from . import context, webhooks

EVERY_S, TIDY_S, FAULT_S = 0.5, 600.0, 5.0
log = logging.getLogger("portside.review")


class Attendant:
    """A thread that looks twice a second. Where no deployment reviews anything it does not begin.

    Attributes:
        fault: what went wrong last, or "".
    """

    def __init__(self, desk: Desk) -> None:
        self._desk, self.fault = desk, ""
        self._settings = {one.name: one.review for one in desk.deployments}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="portside-reviews", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        if any(one.model_fields_set & REVIEWED for one in self._desk.deployments):
            self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """End."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _attend(self) -> None:
        tidied, pause = 0.0, EVERY_S
        with httpx.Client() as client:
            while not self._ended.wait(pause):
                try:
                    self._round(client)
                    if time.monotonic() - tidied > TIDY_S:
                        webhooks.tidy(context.database(self._desk), context.now())
                        tidied = time.monotonic()
                    pause, self.fault = EVERY_S, ""
                except PortsideError as error:
                    if str(error) != self.fault:
                        log.error("Deadlines and webhooks of reviews wait: %s", error)
                    pause, self.fault = FAULT_S, str(error)

    def _round(self, client: httpx.Client) -> None:
        now_ms = context.now()
        context.expire(self._desk, now_ms)
        webhooks.send_due(context.database(self._desk), self._settings, client, now_ms)
