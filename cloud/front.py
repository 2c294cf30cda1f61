"""What stands before the deployments of one server: the doors with their guards and log, and the limits of connections.

All of it is said in the `[server]` section of the first deployment file, for a server has one front.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..sdk.core.errors import FormatError
from .deployment.file import Deployment
from .deployment.server import Connections
from .desk.desk import Desk
from .desk.mounting import mount
from .desk.opening import desk_of
from .doors import connection, error_log
from .doors.access_log import AccessLog
from .doors.admission import Admission
from .doors.asgi import Guard
from .doors.hosts import Hosts
from .doors.http_app import HttpApp
from .doors.json_lines import JsonLines
from .doors.loop_lag import LoopLag
from .doors.sweep import Limits
from .security.access import KeyGuard
from .security.key_file import KeyFile
from .security.keys import Rate
from .security.public import SHIPPING, public
from .security.rate import RateGuard

OF_THE_SERVER = ("log", "connections", "limits", "drain_s", "tls", "keys", "insecure_public", "desk")


@dataclass(frozen=True)
class Front:
    """The doors, and what a worker process sets up before it listens. `desk`: None where the server has none."""

    doors: HttpApp
    deployment: Deployment
    lines: JsonLines
    protocol: type[connection.Connection]
    desk: Desk | None = None

    def install(self) -> None:
        """Set up this process: its HTTP protocol and its log."""
        connection.install(self.protocol)
        error_log.install(self.lines, self.deployment.server.log.exceptions)


def make_front(hosts: Hosts, deployments: Sequence[Deployment], workers: int = 1, guards: Sequence[Guard] = ()) -> Front:
    """The front of a server.

    Args:
        hosts: what answers.
        deployments: as the hosts; the first one says how the front is.
        workers: server processes, which share the limits of keys.
        guards: more of them, behind those of keys.

    Raises:
        FormatError: a later deployment says otherwise, or the file of keys cannot be read.
    """
    first, lines = deployments[0], JsonLines()
    check_same(deployments)
    log = first.server.log
    access = None if log.access == "off" else AccessLog(lines, log.access, log.sample)
    desk = desk_of(deployments)
    keys, admission = guards_of_keys(first, hosts, workers, desk is not None), admission_of(first)
    hosts.keys, hosts.desk = bool(keys), desk is not None
    doors = HttpApp(hosts, read_s=first.server.connections.body_s, guards=(*keys, *guards, admission), access=access)
    protocol = connection.bounded(limits_of(first.server.connections), not public(first), first.server.tls is not None, doors)
    hosts.pages += [admission.page, protocol.sweep.page, lines.page]
    if desk is not None:
        mount(doors.routes, desk)
    return Front(doors, first, lines, protocol, desk)


def admission_of(deployment: Deployment) -> Admission:
    """How much is under way at once."""
    server, limits = deployment.server, deployment.server.limits
    return Admission(limits.max_inflight, int(limits.max_inflight_mb * (1 << 20)), int(server.max_body_mb * (1 << 20)),
                     LoopLag(limits.max_lag_ms / 1e3))  # fmt: skip


def guards_of_keys(deployment: Deployment, hosts: Hosts, workers: int, desk: bool = False) -> tuple[Guard, ...]:
    """Who asks for a key, and who counts; none without keys. `desk`: its pages are open. Raises FormatError."""
    keys = deployment.server.keys
    if keys is None:
        return ()
    path = deployment.folder / keys.file
    if not path.is_file() and os.environ.get(SHIPPING) != "1":
        raise FormatError("There is no file of keys", got=str(path), fix=f"Run: portside keys new NAME --file {path}")
    guard = KeyGuard(KeyFile(path), lambda asked: hosts.at(asked).name, desk=desk)
    return guard, RateGuard(Rate(keys.requests_per_s, keys.rows_per_s, keys.burst_s), workers)


def limits_of(settings: Connections) -> Limits:
    """The section as the connections take it."""
    return Limits(settings.max, settings.head_s, settings.body_s, settings.answer_s, settings.idle_s, settings.max_head_kb << 10,
                  min(1.0, settings.head_s / 4, settings.answer_s / 4))  # fmt: skip


def check_same(deployments: Sequence[Deployment]) -> None:
    """Raise FormatError where a later deployment says something else of the server than the first."""
    first = deployments[0]
    for other in deployments[1:]:
        for name in OF_THE_SERVER:
            if name in other.server.model_fields_set and getattr(other.server, name) != getattr(first.server, name):
                raise FormatError(f"{other.path.name}: server.{name} is not as in {first.path.name}, and a server has one",
                                  fix=f"Say it in {first.path.name}, which was given first.")  # fmt: skip
