"""What a serving worker runs for rollouts: in the first worker the controller's process of every deployment that tries a challenger."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..monitoring.child import Beside

LOOK_S = 1.0
"""How soon after a reload that adds or removes a `[rollout]` its controller begins or ends."""


class Serving(Protocol):
    """A host, as far as rollouts look at it."""

    @property
    def engine(self) -> Any:
        """What answers; None until the models are ready."""
        ...

    @property
    def resolved(self) -> Any:
        """What it serves, with its deployment."""
        ...


def command(path: Path) -> list[str]:
    """What runs the controller of a deployment file."""
    return [sys.executable, "-m", "portside.cloud.rollouts.process", str(path), "--with-parent"]


class Steered:
    """The controllers of one server.

    Args:
        hosts: what serves.
        first: this worker is the first one, which starts the processes.
    """

    def __init__(self, hosts: Sequence[Serving], first: Callable[[], bool]) -> None:
        self._hosts, self._first, self._ended = tuple(hosts), first, threading.Event()
        self._processes: dict[int, Beside] = {}
        self._thread = threading.Thread(target=self._keep, name="portside-rollouts", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        if self._first():
            self._thread.start()

    def close(self) -> None:
        """End them: the controllers give their leases back."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for process in self._processes.values():
            process.close()

    def look(self) -> None:
        """Begin and end processes by what is served now."""
        for place, host in enumerate(self._hosts):
            deployment, running = host.resolved.deployment, self._processes.get(place)
            wanted = getattr(deployment, "rollout", None) is not None and host.engine is not None
            if wanted and running is None:
                self._processes[place] = Beside(command(deployment.path), name="controller of rollouts")
                self._processes[place].start()
            elif running is not None and getattr(deployment, "rollout", None) is None:
                self._processes.pop(place).close()

    def _keep(self) -> None:
        self.look()
        while not self._ended.wait(LOOK_S):
            self.look()
