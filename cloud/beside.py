"""A process beside a serving worker: polite, ended by a signal, and never left behind by the one that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ..sdk.core.errors import PortsideError

PRIORITY = 10
"""Of a process beside: those who answer come first."""


def leave_with_parent(seconds: float = 1.0) -> None:
    """End this process when its parent is gone, however it went: a killed supervisor must not leave workers that hold the port."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="portside-parent", daemon=True).start()


def stop_on_signals(stop: Callable[[], None]) -> None:
    """SIGTERM and SIGINT ask for the end of what this process does."""

    def end(number: int, frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def run_beside(main: Callable[[Path], None]) -> None:
    """`python -m MODULE DEPLOYMENT.toml [--with-parent]`. Ends the process with a line of text for a deployment that cannot be used."""
    os.nice(PRIORITY)
    if "--with-parent" in sys.argv:
        leave_with_parent()
    try:
        main(Path(sys.argv[1]))
    except PortsideError as error:
        sys.exit(f"error: {error}")
