"""The monitor, or the controller of rollouts, beside a server: a child process of its first worker, at low priority, started again when
it ends.

It reads the database and touches nothing of serving; where it cannot run the server goes on and says so in its log. It ends with the
worker: told by a signal when the server closes, by itself when its parent is gone.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 60.0
CALM_S = 30.0
"""A monitor that ran for so long is started again at once; one that ends sooner after a pause, twice as long each time."""
END_S, LATEST_S = 10.0, 300.0
TOLD_S = 2.0
"""One that ends well was told to, as a rule with the server, by a key that reaches all: it is no fault when that ends so soon after."""
log = logging.getLogger("portside.monitor")


def command(path: Path) -> list[str]:
    """What runs the monitor of a deployment file."""
    return [sys.executable, "-m", "portside.cloud.monitoring.process", str(path), "--with-parent"]


class Beside:
    """Keeps one process running.

    Args:
        line: its command.
        ready: it begins when this says so, so that models are loaded first; at the latest after `LATEST_S`.
        name: for the log.
    """

    def __init__(self, line: Sequence[str], ready: Callable[[], bool] = lambda: True, name: str = "monitor") -> None:
        self._name = name
        self._line, self._ready, self._ended = list(line), ready, threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"portside-{name}", daemon=True)
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Of the process that runs, None between two."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End it, and wait for that."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(END_S + 2.0)

    def _keep(self) -> None:
        pause, latest = FIRST_PAUSE_S, time.monotonic() + LATEST_S
        while not self._ready() and time.monotonic() < latest and not self._ended.wait(0.1):
            pass
        while not self._ended.is_set():
            began = time.monotonic()
            code = self._run()
            if self._ended.wait(TOLD_S if code == 0 else 0.0):
                return
            calm = time.monotonic() - began > CALM_S
            pause = FIRST_PAUSE_S if calm else min(pause * 2, MOST_PAUSE_S)
            log.error("The %s ended with %s; it is started again in %g s. Serving goes on.", self._name, code, pause)
            self._ended.wait(pause)

    def _run(self) -> int | str:
        """Run it until it ends, or is to; its exit code, or why it could not be started."""
        try:
            self._process = subprocess.Popen(self._line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ.copy())
        except OSError as error:
            return str(error)
        self.starts += 1
        while (code := self._process.poll()) is None and not self._ended.wait(0.1):
            pass
        return code if code is not None else _stopped(self._process)


def _stopped(process: subprocess.Popen[bytes]) -> int:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        return process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
