"""A plain request and its answer, in the place of uvicorn's cycle: the doors are asked directly, and the answer is written at once.

To uvicorn's protocol, to the sweep and to a shutdown it looks like a cycle. What it leaves out is what a request that came whole
never needs: messages between an application and its server, an event to wait for the body, a timer for the rest after it.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from .asgi import JOIN_BYTES, SECURITY, TEXT, Headers, Reply, Scope
from .body import CLOSE
from .heads import Head
from .http_app import HttpApp
from .sending import parts_of, size_of

FAILED = Reply(500, b"Internal Server Error", TEXT, (CLOSE,))


class _Unheard:
    """The event of a cycle, for which nobody waits."""

    def set(self) -> None:
        pass


class Exchange:
    """One request whose body is there, or comes with the bytes that are being parsed.

    Args:
        connection: uvicorn's protocol.
        doors: who answers.
        scope: as ASGI has it, with the headers under HEAD.
        body: all of it; what the parser finds, where
        head: is given: what it has just read.

    Attributes:
        more_body, disconnected, keep_alive, response_complete, message_event: as a cycle has them.
        task: which runs it, one of the connection's as long as it does.
    """

    __slots__ = ("_connection", "_doors", "_scope", "_started", "body", "disconnected", "head", "keep_alive", "more_body",
                 "response_complete", "task")  # fmt: skip
    message_event = _Unheard()

    def __init__(self, connection: Any, doors: HttpApp, scope: Scope, body: bytes = b"", head: Head | None = None) -> None:
        self._connection, self._doors, self._scope, self.body, self.head = connection, doors, scope, body, head
        self.more_body = head is not None
        self.disconnected = self.response_complete = self._started = False
        self.keep_alive = True
        self.task: Any = None

    async def run(self) -> None:
        """Answer. Whatever goes wrong is recorded, and told as uvicorn tells it."""
        try:
            await self._doors.answer(self._scope, self.body, self.give)
            if not self.response_complete and not self.disconnected:
                raise RuntimeError("The doors gave no answer")
        except BaseException as error:
            self._connection.logger.error("Exception in ASGI application\n", exc_info=error)
            if self._started:
                self._connection.transport.close()
            else:
                await self.give(FAILED)
        finally:
            self._connection.tasks.discard(self.task)

    async def give(self, reply: Reply, *more: tuple[bytes, bytes]) -> None:
        """Write a reply; waits while the caller does not read what was written before."""
        head, place, parts = self._head(reply, more), 0, [reply.body] if not reply.more else parts_of(reply)
        flow, write = self._connection.flow, self._connection.transport.write
        for place, part in enumerate(parts, 1):
            if flow.write_paused and not self.disconnected:
                await flow.drain()
            if self.disconnected:
                return
            if place > 1:
                write(part)
            elif len(part) < JOIN_BYTES:
                write(head + part)
            else:
                write(head)
                write(part)
        self._complete()

    def _head(self, reply: Reply, more: tuple[tuple[bytes, bytes], ...]) -> bytes:
        """The answer up to its body. Raises RuntimeError where a header holds a line end, which would split it."""
        kind, told = b"content-type: " + reply.content_type, [name + b": " + value for name, value in (*reply.headers, *more)]
        flat = b"".join((kind, *told))
        if flat.find(b"\n") >= 0 or flat.find(b"\r") >= 0:  # `in` would first try whether these bytes are a number
            raise RuntimeError("A header holds a line end")
        block = b"\r\n".join((kind, b"content-length: %d" % size_of(reply), SECURE, *told))
        self._started, closing = True, block.find(b"\nconnection: close") >= 0
        if closing:
            self.keep_alive = False
        opening = OPENING.lines(reply.status, self._connection.server_state.default_headers)
        return opening + block + (b"\r\n\r\n" if self.keep_alive or closing else b"\r\nconnection: close\r\n\r\n")

    def _complete(self) -> None:
        self.response_complete = True
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()


class Opening:
    """The lines that answers begin with: the same for all of one second, for uvicorn's date is."""

    def __init__(self) -> None:
        self._defaults: Headers = []
        self._lines: dict[int, bytes] = {}

    def lines(self, status: int, defaults: Headers) -> bytes:
        """The status and uvicorn's own headers."""
        if defaults is not self._defaults:
            self._defaults, self._lines = defaults, {}
        lines = self._lines.get(status)
        if lines is None:
            lines = self._lines[status] = STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in defaults])
        return lines


OPENING = Opening()
SECURE = b"\r\n".join(map(b": ".join, SECURITY))
