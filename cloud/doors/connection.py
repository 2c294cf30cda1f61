"""One HTTP connection under BentoML's uvicorn: its parser and its cycle, with limits on what a caller may hold open.

Uvicorn times nothing but the rest between two requests. Here everything that can be waited for has an end, and no request
pays for it: one timer per process looks at all connections (`sweep.py`) and reads from their state what each waits for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import orjson
from uvicorn import config as uvicorn_config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ...sdk.core.errors import InputError, PortsideError
from .asgi import JSON, SECURITY, Receive, Scope, Send
from .body import CLOSE
from .cycle import Cycle
from .heads import Heads
from .http_app import HttpApp
from .lane import Lane
from .sweep import MAX_DISCARDED, MAX_PIPELINED, Limits, Phase, Sweep, phase_of

_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


class Connection(Lane):
    """Uvicorn's protocol, bounded. A subclass made by `bounded` carries the limits of a deployment."""

    sweep: ClassVar[Sweep]
    local_only: ClassVar[bool]
    tls_only: ClassVar[bool]

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.app = unwrapped(self.app)
        self.ws_protocol_class = None  # there is no websocket here: such a request is answered like any other
        self.head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or say why not and close it."""
        super().connection_made(transport)
        if self.local_only and not is_local(self.server):
            self._answer_all(_refusing(PUBLIC))  # told to the request, so that the caller can read it
        elif self.tls_only and self.scheme != "https":
            self._answer_all(_refusing(PLAIN))
        if len(self.connections) > self.limits.max and not self.sweep.make_room(self.connections, self):
            self.refuse(503, FULL)
        else:
            self.sweep.watch(self.connections)

    def data_received(self, data: bytes) -> None:
        """Take the shorter way, or feed the parser: headers and thrown-away bodies are counted as long as no request has come of them."""
        if self.taken(data):
            self.head_bytes = 0
            return
        before: Any = self.cycle
        body = before is not None and before.more_body  # as it was: these may be the last bytes of it
        wanted = before is not None and before.more_body and not before.response_complete
        super().data_received(data)
        if self.cycle is not before:
            self.head_bytes = 0
            self.learn(data)
            if len(self.pipeline) > MAX_PIPELINED:
                self.transport.abort()
        elif not wanted:
            self.head_bytes += len(data)
            self._judge_head(body)
            if body and before is not None and not before.more_body:
                self.head_bytes = 0

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Answers go out our way."""
        cycle.__class__ = Cycle
        super()._start_asgi_task(cycle, app)

    def _answer_all(self, app: Any) -> None:
        """Let every request of this connection come to this application."""
        self.app, self.doors = app, None

    def _judge_head(self, discarding: bool) -> None:
        """`discarding`: the bytes are the rest of a body whose request was refused already."""
        if discarding and self.head_bytes > MAX_DISCARDED:
            self.transport.abort()
        elif not discarding and self.head_bytes > self.limits.max_head_bytes and not self.transport.is_closing():
            self.refuse(431, HEAD_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read, refused in the format of all refusals."""
        self.refuse(400, InputError(msg.rstrip("."), field="request"))

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for it would fill the log. The parser knows no next request after it."""
        self.doors = None

    def refuse(self, status: int, error: PortsideError) -> None:
        """Answer without a request, and close."""
        self.doors = None
        body = orjson.dumps(error.to_dict())
        head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, _REASONS[status], len(body))
        self.transport.write(head + b"x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n" + body)
        self.transport.close()

    @property
    def phase(self) -> Phase:
        """What it waits for."""
        return phase_of(self)


PUBLIC = PortsideError("This server has no keys, so it answers this machine alone",
                       fix="Set [server.keys] in the deployment file, or say insecure_public = true in [server].")  # fmt: skip
PLAIN = PortsideError("This server speaks TLS", got="a connection without it",
                      fix="portside serve sets it up from [server.tls]; tell bentoml serve --ssl-certfile and --ssl-keyfile.")  # fmt: skip
FULL = PortsideError("The server has as many connections as it takes", fix="Try again in a moment.")
HEAD_TOO_LARGE = InputError("The headers of the request are too large", field="headers")


def _refusing(error: PortsideError) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application of connections that are answered with this (403) and nothing else."""
    body = orjson.dumps(error.to_dict())
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *SECURITY, CLOSE]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def unwrapped(app: Any) -> Any:
    """The application without uvicorn's rewriting of the caller's address, which only our log wants, and only for what it writes."""
    return app.app if isinstance(app, ProxyHeadersMiddleware) else app


def is_local(server: tuple[str, int | None] | None) -> bool:
    """Whether a connection's own end is this machine's loopback (or no network at all)."""
    if server is None:
        return True
    try:
        address = ipaddress.ip_address(server[0])
    except ValueError:  # the path of a socket file
        return True
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def bounded(limits: Limits, local_only: bool = False, tls_only: bool = False, doors: HttpApp | None = None) -> type[Connection]:
    """The protocol with these limits.

    Args:
        limits: of a connection.
        local_only: connections from elsewhere are refused.
        tls_only: those without TLS are.
        doors: what the application has behind it, for requests that need nothing else of it.
    """
    held = {"limits": limits, "sweep": Sweep(limits), "local_only": local_only, "tls_only": tls_only, "doors": doors, "heads": Heads()}
    return type("BoundedConnection", (Connection,), held)


def install(protocol: type[Connection]) -> None:
    """Make it this process's protocol. BentoML's worker builds uvicorn's configuration itself, with the protocol named "auto"."""
    protocols: dict[str, Any] = uvicorn_config.HTTP_PROTOCOLS
    protocols["auto"] = protocol
