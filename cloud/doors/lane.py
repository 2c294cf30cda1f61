"""The shorter way of plain requests, which most are: from the bytes of a connection to the doors without uvicorn's cycle and ASGI.

A request takes it that is a POST to a model and came whole, in one piece, on a connection where nothing else is under way. Its head
is read by uvicorn's parser, or known byte for byte (heads.py). Every other request goes uvicorn's way, and both answer alike.
"""

from __future__ import annotations

import urllib.parse
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .begun import begin
from .exchange import Exchange
from .heads import Head, Heads, plain
from .http_app import HttpApp
from .rest import Rest
from .sweep import Limits

LINES_END = b"\r\n\r\n"
NOT_WHOLE = -1


class Lane(HttpToolsProtocol):
    """Uvicorn's protocol with the shorter way beside its own.

    Attributes:
        doors: where it leads; None: nowhere, for this connection.
        begun: the parser is inside of a request.
        behind: bytes behind the head of the request that is being parsed, where it began with these bytes.
    """

    heads: ClassVar[Heads]
    limits: ClassVar[Limits]
    doors: HttpApp | None = None
    cycle: Any
    parser: Any
    timeout_keep_alive_task: Any

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.begun, self.behind, self.timeout_keep_alive = False, NOT_WHOLE, self.limits.idle_s
        self.rest = Rest(self.loop, self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if self.limit_concurrency is not None or self.config.reset_contextvars:
            self.doors = None

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        super().connection_lost(exc)
        self.rest.close()

    def taken(self, data: bytes) -> bool:
        """Answer what is whole and known. False: it is for the parser, which then finds in `behind` what may be a whole body."""
        self.behind = NOT_WHOLE
        doors = self.doors
        if self.begun or doors is None or not doors.direct or data[:5] != b"POST " or not self._quiet():
            return False
        place = data.find(LINES_END) + 4
        head = self.heads.find(data[:place])
        if head is not None and len(data) - place == head.size:
            if self.timeout_keep_alive_task is not None:
                self.rest.since = self.timeout_keep_alive_task = None
            self.cycle = exchange = Exchange(self, doors, self._scope(head), data[place:])
            if doors.prompt:
                self._keep(exchange, begin(exchange.run(), self.loop))
            else:
                self._begin(exchange)
            return True
        if place >= 4:
            self.behind = len(data) - place
        return False

    def learn(self, data: bytes) -> None:
        """Keep the head of a request that the parser has just read to its end, and nothing behind it."""
        exchange = self.cycle
        if isinstance(exchange, Exchange) and exchange.head is not None and not self.begun:
            self.heads.keep(data[: len(data) - exchange.head.size], exchange.head)

    def _quiet(self) -> bool:
        """Nothing is under way: the last request was read to its end, and answered."""
        cycle = self.cycle
        return cycle is None or (cycle.response_complete and not cycle.more_body and self.timeout_keep_alive_task is not None)

    def on_message_begin(self) -> None:
        """Called by the parser, as those below."""
        self.begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Make an exchange of a plain request that is whole, and what uvicorn makes of any other."""
        behind, self.behind, doors = self.behind, NOT_WHOLE, self.doors  # what follows in the same bytes is another request
        head = self._plain(behind) if behind >= 0 else None
        if head is None or doors is None:
            super().on_headers_complete()
        else:
            self.cycle = Exchange(self, doors, self._scope(head), head=head)

    def on_body(self, body: bytes) -> None:
        """A part of the body: all of it, where it was seen to be whole."""
        if isinstance(self.cycle, Exchange):
            self.cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is read."""
        self.begun = False
        if isinstance(self.cycle, Exchange):
            self.cycle.more_body = False
            self._begin(self.cycle)
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer per request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.rest.begin()
            self.timeout_keep_alive_task = self.rest

    def _begin(self, exchange: Exchange) -> None:
        self._keep(exchange, self.loop.create_task(exchange.run()))

    def _keep(self, exchange: Exchange, task: Any) -> None:
        """Uvicorn waits for the tasks of its connections when it ends."""
        if task is not None:
            exchange.task = task
            self.tasks.add(task)

    def _plain(self, behind: int) -> Head | None:
        """What the parser has read, where it is the head of a plain request."""
        parser = self.parser
        if parser.get_http_version() != "1.1" or parser.should_upgrade() or not parser.should_keep_alive():
            return None
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        about = {"method": "POST", "path": self.root_path + (urllib.parse.unquote(path) if "%" in path else path)}
        raw = {"raw_path": self.root_path.encode("ascii") + url.path, "query_string": url.query or b""}
        return plain({**self.scope, **about, **raw}, behind)

    def _scope(self, head: Head) -> dict[str, Any]:
        scope = head.scope.copy()
        scope["server"], scope["client"], scope["scheme"] = self.server, self.client, self.scheme
        return scope
