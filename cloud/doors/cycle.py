"""One answer on its way out, under uvicorn: our own answers are written in one piece, with one look at all their headers.

Uvicorn takes any application's headers and so checks each of them with two patterns. Ours are made by ours; what could split an answer
in two, a line end inside of a header, is looked for in the whole block at once.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from .asgi import OURS

JOIN_BYTES = 32 << 10
"""Smaller bodies are copied behind their headers: a write costs more than the copy."""


class Cycle(RequestResponseCycle):
    """Uvicorn's cycle. Messages that do not carry `OURS` go uvicorn's way."""

    _head: bytes | None = None
    """Written with the first part of the body. None: not one of our answers."""

    async def send(self, message: Any) -> None:
        """ASGI's `send`."""
        if OURS in message and not self.response_started:
            self._start(message["status"], [*self.default_headers, *message["headers"]])
        elif self._head is None:
            await super().send(message)
        else:
            await self._part(message["body"], message.get("more_body", False))

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        block = b"\r\n".join(map(b": ".join, headers))
        if block.count(b"\n") != len(headers) - 1 or block.count(b"\r") != len(headers) - 1:
            raise RuntimeError("A header holds a line end")
        self.response_started, self.waiting_for_100_continue = True, False
        if b"\nconnection: close" in block:
            self.keep_alive = False
        end = b"\r\n\r\n" if self.keep_alive or b"\nconnection: close" in block else b"\r\nconnection: close\r\n\r\n"
        self._head = STATUS_LINE[status] + block + end

    async def _part(self, body: bytes | bytearray | memoryview, more: bool) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        head, self._head = self._head, b""
        if head and len(body) < JOIN_BYTES:
            self.transport.write(head + bytes(body))
        else:
            if head:
                self.transport.write(head)
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
