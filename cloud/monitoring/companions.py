"""What a serving worker runs for the monitors of its deployments: a board each, and, in the first worker, their processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..deployment.file import Deployment
from ..deployment.generation import folder_of as generations_of
from ..records.database import Database
from .board import Reporter, folder_of
from .child import Beside, command
from .page import Page


class Serving(Protocol):
    """A host, as far as monitors look at it."""

    @property
    def engine(self) -> Any:
        """What answers; None until the models are ready."""
        ...


class Watched:
    """The monitors of one server.

    Args:
        hosts: what serves, in the order of `deployments`.
        deployments: those with a `[monitor]` section are monitored.
        first: this worker is the first one, which starts the processes.

    Attributes:
        page: lines for `/metrics`; empty where nothing is monitored.
    """

    def __init__(self, hosts: Sequence[Serving], deployments: Sequence[Deployment], first: Callable[[], bool]) -> None:
        pairs = [(host, one) for host, one in zip(hosts, deployments, strict=True) if one.monitor is not None]
        self._first, self._begun = first, list[Reporter | Beside]()
        self._reporters = [Reporter(folder_of(generations_of(one.name, one.path)), _engine_of(host)) for host, one in pairs]
        self._processes = [Beside(command(one.path), _ready_of(host)) for host, one in pairs if one.monitor and one.monitor.run == "server"]
        self._page = Page({one.name: _database_of(one) for _, one in pairs})
        self.page: Callable[[], list[str]] = self._page.lines if pairs else list[str]

    def start(self) -> None:
        """Begin; returns at once."""
        self._begun = [*self._reporters, *(self._processes if self._first() else ())]
        for one in self._begun:
            one.start()

    def close(self) -> None:
        """End them: the monitors give their leases back."""
        for one in reversed(self._begun):
            one.close()
        self._page.close()


def _engine_of(host: Serving) -> Callable[[], Any]:
    return lambda: host.engine


def _ready_of(host: Serving) -> Callable[[], bool]:
    return lambda: host.engine is not None


def _database_of(deployment: Deployment) -> Callable[[], Database]:
    return lambda: Database.open(deployment.records.place(deployment.folder))
