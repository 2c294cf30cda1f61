"""A desk of its own, beside the servers: the same routes and guards, no model, nothing asked but the database.

It goes on while a server is down, and costs a server nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import uvicorn

from ..answering.answers import NotReadyError
from ..deployment.file import Deployment
from ..doors import connection, error_log
from ..doors.access_log import AccessLog
from ..doors.asgi import TEXT, Guard, Incoming, Reply
from ..doors.hosts import Hosts
from ..doors.http_app import HttpApp
from ..doors.json_lines import JsonLines
from ..doors.routes import Routes
from ..doors.sweep import Limits
from ..doors.wire import Wire
from ..review.attending import Attendant
from ..security.access import KeyGuard
from ..security.key_file import KeyFile
from ..security.listening import check_public, tls_options
from ..security.public import public
from .desk import Desk
from .mounting import mount
from .opening import desk_apart

BODY_BYTES = 4 << 20
LIMITS = Limits(200, 10.0, 30.0, 60.0, 30.0, 64 << 10, 1.0)


class NoModel:
    """What stands in a model's place: a desk serves none."""

    engine, openapi, version, receipt, max_body_bytes = None, dict[str, Any](), "", "none", BODY_BYTES
    fault = "this is a desk; models are served by portside serve"

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def wire(self) -> Wire:
        """There is none. Raises NotReadyError."""
        raise NotReadyError(self.fault)


class Apart:
    """The doors of a desk apart, and the server in front of them.

    Args:
        deployments: whose records are shown; the first one says keys, TLS and the log.
        insecure: others than this machine may ask without keys, because something else keeps strangers out.

    Raises FormatError: records that lie in several places, or nowhere; a file of keys that cannot be read.
    """

    def __init__(self, deployments: Sequence[Deployment], insecure: bool = False) -> None:
        self.deployment, self.lines = deployments[0], JsonLines()
        self.public = insecure or public(self.deployment)
        self.desk: Desk = desk_apart(deployments, self.public)
        log = self.deployment.server.log
        access = None if log.access == "off" else AccessLog(self.lines, log.access, log.sample)
        self.doors = HttpApp(Hosts((NoModel(self.deployment.name),)), guards=self._guards(), access=access)
        self.doors.routes = Routes({"/livez": {"GET": _alive}, "/readyz": {"GET": self.desk.threaded(self._ready)}})
        mount(self.doors.routes, self.desk)
        self.doors.routes.exact["/"] = self.doors.routes.exact["/dashboard"]

    def run(self, host: str, port: int) -> None:
        """Serve until a signal ends it. Raises TrustError for an address that others can reach where nobody has to show a key."""
        check_public(host, self.public)
        protocol = connection.bounded(LIMITS, not self.public, self.deployment.server.tls is not None)
        error_log.install(self.lines, self.deployment.server.log.exceptions)
        config = uvicorn.Config(self.doors, host=host, port=port, http=protocol, lifespan="off", log_level="warning", access_log=False,
                                timeout_graceful_shutdown=5, **_tls(self.deployment))  # fmt: skip
        attendant = Attendant(self.desk)
        attendant.start()
        try:
            uvicorn.Server(config).run()
        finally:
            attendant.close()
            self.desk.close()

    def _guards(self) -> tuple[Guard, ...]:
        keys = self.deployment.server.keys
        return () if keys is None else (KeyGuard(KeyFile(self.deployment.folder / keys.file), lambda _: self.deployment.name, desk=True),)

    def _ready(self, _: Incoming) -> Reply:
        return Reply(200, f"{self.desk.database.kind}\n".encode(), TEXT)


async def _alive(_: Incoming) -> Reply:
    return Reply(200, b"alive\n", TEXT)


def _tls(deployment: Deployment) -> dict[str, Any]:
    """The certificate as uvicorn takes it. Raises FormatError."""
    options = tls_options(deployment)
    pairs = zip(options[::2], options[1::2], strict=True)
    found: dict[str, Any] = {name.removeprefix("--").replace("-", "_"): value for name, value in pairs}
    return {**found, "ssl_cert_reqs": ssl.CERT_REQUIRED} if "ssl_cert_reqs" in found else found


def address(host: str, port: int, tls: bool) -> str:
    """Where the page is."""
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  shown, not listened on
    return f"{'https' if tls else 'http'}://{shown}:{port}/dashboard"
