"""One HTTP/1.1 connection that carries one request at a time (no pipelining), as a raw asyncio protocol."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

import httptools

REASON = b"x-portside-reason"
_LENGTH = len(REASON)


class Owner(Protocol):
    """Who is told what becomes of connections and of the requests on them."""

    def ready(self, connection: Connection) -> None:
        """It can carry a request."""
        ...

    def answered(self, connection: Connection, status: int, reason: bytes, keep: bool) -> None:
        """The request on it was answered; `keep`: it can carry another one."""
        ...

    def lost(self, connection: Connection, error: str | None) -> None:
        """It is closed; `error`: the request on it is lost, and how."""
        ...


class Connection(asyncio.Protocol):
    """Attributes: `scheduled`, the loop time at which the request on it was due (None: it is idle); `rests`, since when it is idle."""

    __slots__ = ("_error", "_owner", "_parser", "_reason", "_transport", "rests", "scheduled")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser: Any = httptools.HttpResponseParser(self)
        self._reason, self._error = b"", "reset"
        self.scheduled: float | None = None
        self.rests = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.ready(self)

    def send(self, request: bytes, scheduled: float) -> None:
        """Start a request that was due at `scheduled`."""
        self.scheduled, self._reason = scheduled, b""
        self._transport.write(request)

    def abort(self, error: str) -> None:
        """Close at once; the request on it, if any, ends as `error`."""
        self._error = error
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort("broken answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser: of the receipt only the reason is kept."""
        if len(name) == _LENGTH and name.lower() == REASON:
            self._reason = value

    def on_message_complete(self) -> None:
        """Called by the parser."""
        keep: bool = self._parser.should_keep_alive()
        self._owner.answered(self, self._parser.get_status_code(), self._reason, keep)
        if not keep:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by either side."""
        self._owner.lost(self, self._error if self.scheduled is not None else None)
