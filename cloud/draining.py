"""SIGTERM in a worker process: say that no more should come, answer what does come, end when all have their answer.

In this order: `/readyz` becomes 503 and every answer closes its connection, so that callers and balancers go elsewhere; after
a short notice the socket is closed and what is under way may end, for at most `drain_s`; then the models are closed. Nothing
here costs anything before the signal.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson
import uvicorn

from .answering.answers import NotReadyError
from .doors.asgi import JSON, SECURITY, Receive, Scope, Send
from .doors.http_app import HttpApp

NOTICE_S = 1.0
"""How long requests are still taken after the signal; half of `drain_s` where that is shorter."""
App = Callable[[Scope, Receive, Send], Awaitable[None]]
log = logging.getLogger("portside.drain")


class OnLoop(Protocol):
    """A host, as far as it is told about the loop."""

    loop: asyncio.AbstractEventLoop | None


class Drain:
    """The way of requests to the doors, which SIGTERM changes.

    Attributes:
        app: the ASGI application of this moment.
    """

    def __init__(self, doors: HttpApp, hosts: Sequence[OnLoop], drain_s: float) -> None:
        self.app: App = doors
        self._doors, self._hosts, self._drain_s = doors, hosts, drain_s
        self._before: Any = None

    def install(self) -> None:
        """Called once on the event loop, before the first request: hosts learn the loop, and the signal comes here first."""
        loop = asyncio.get_running_loop()
        for host in self._hosts:
            host.loop = loop
        self._before = signal.getsignal(signal.SIGTERM)
        server = getattr(self._before, "__self__", None)
        if isinstance(server, uvicorn.Server):
            server.config.timeout_graceful_shutdown = max(1, round(self._drain_s))
            signal.signal(signal.SIGTERM, self._signalled)

    def _signalled(self, number: int, frame: object) -> None:
        for host in self._hosts[:1]:
            if host.loop is not None:
                host.loop.call_soon_threadsafe(self.begin, host.loop)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The signal has come."""
        if self.app is not self._doors:
            return
        log.info("Draining: no more than %g s", self._drain_s)
        self.app, self._doors.direct = self._last, False
        loop.call_later(min(NOTICE_S, self._drain_s / 2), self._before, signal.SIGTERM, None)

    async def _last(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the doors, but not ready, and the last answer of its connection."""

        async def closing(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        if scope["path"] in NOT_READY:
            await _not_ready(closing)
        else:
            await self._doors(scope, receive, closing)


NOT_READY = ("/readyz", "/v2/health/ready")


async def _not_ready(send: Send) -> None:
    body = orjson.dumps(NotReadyError("the service is shutting down").to_dict())
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *SECURITY]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
