"""What a service tells systemd: ready, alive, stopping, and a line of status, over the socket of $NOTIFY_SOCKET. See sd_notify(3).

Without systemd nothing is sent and nothing fails.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping

from .watchdog import Verdict


class Systemd:
    """The manager that started this process, if one did.

    Args:
        environment: of the process; read once.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        said = os.environ if environment is None else environment
        self._address = said.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(said)

    @property
    def listens(self) -> bool:
        """Whether somebody does."""
        return self._address.startswith(("/", "@"))

    def tell(self, **state: str) -> bool:
        """Send assignments, as `tell(READY="1", STATUS="answers")`; whether they were sent. Never raises and never waits."""
        if not self.listens:
            return False
        lines = "\n".join(f"{name}={value.replace(chr(10), ' ')}" for name, value in state.items())
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto(lines.encode(), address)
        except OSError:
            return False
        return True

    def ready(self, status: str = "") -> bool:
        """It listens."""
        return self.tell(READY="1", **({"STATUS": status} if status else {}))

    def stopping(self) -> bool:
        """It was asked to end."""
        return self.tell(STOPPING="1", STATUS="stopping")


class Feeder:
    """A thread that feeds the watchdog while the verdict is that all is alive, three times within its time.

    Args:
        systemd: whom to tell.
        verdict: asked each time; one that raises feeds nobody.
        every_s: between two looks where there is no watchdog, to keep the line of status right.
    """

    def __init__(self, systemd: Systemd, verdict: Callable[[], Verdict], every_s: float = 10.0) -> None:
        self._systemd, self._verdict = systemd, verdict
        self._every_s = systemd.watchdog_s / 3 if systemd.watchdog_s else every_s
        self._stop, self._said = threading.Event(), ""
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Feed from now on. Nothing is started where nobody listens."""
        if self._systemd.listens:
            self._thread.start()

    def turn(self) -> Verdict:
        """Look once, and feed."""
        try:
            found = self._verdict()
        except Exception as error:  # a check that fails is a check that was not passed; systemd is told which
            found = Verdict(False, f"the self-check failed: {type(error).__name__}")
        feed = {"WATCHDOG": "1"} if found.alive and self._systemd.watchdog_s else {}
        status = {"STATUS": found.why or "answers"} if found.why != self._said else {}
        if not (feed or status) or self._systemd.tell(**feed, **status):
            self._said = found.why  # a manager that was too busy to hear it is told again
        return found

    def close(self) -> None:
        """Stop, and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.turn()
            self._stop.wait(self._every_s)


def _watchdog_s(said: Mapping[str, str]) -> float | None:
    """Within how many seconds the watchdog wants to be fed; None: there is none, or it is another process's."""
    microseconds, owner = said.get("WATCHDOG_USEC", ""), said.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or int(microseconds) == 0 or (owner and owner != str(os.getpid())):
        return None
    return int(microseconds) / 1e6
