"""Reading a request's body: within a size, and within a time that one timer keeps for all requests together."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ...sdk.core.errors import InputError
from ...sdk.core.failover import made
from .asgi import HEADER_LENGTH, Incoming, Receive, RefusalError, Scope

CLOSE = (b"connection", b"close")
"""After a body that was not read to its end nothing that follows on the connection can be trusted."""
ALIGNED = 8
"""Bytes of the largest element of a tensor."""


class BodyReader:
    """Reads bodies.

    Args:
        max_bytes: larger ones are refused (413).
        seconds: later ones are refused (408): a client that sends a byte a second must not hold a connection for ever.
    """

    def __init__(self, max_bytes: int, seconds: float) -> None:
        self._max, self._patience = max_bytes, Patience(seconds)

    def at_hand(self, scope: Scope, body: bytes, headers: dict[bytes, bytes]) -> Incoming:
        """The request whose body is there already. Raises RefusalError."""
        if len(body) > self._max:
            raise self._too_large(str(len(body)))
        return made(Incoming, (body, headers, time.monotonic(), scope))

    async def read(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Incoming:
        """The request with its whole body. Raises RefusalError; ConnectionResetError where the client left."""
        if scope["method"] in ("GET", "HEAD"):
            return Incoming(b"", headers, time.monotonic(), scope)
        said = headers.get(b"content-length", b"0")
        if len(said) > 15 or (said.isdigit() and int(said) > self._max):
            raise self._too_large(said[:20].decode("latin-1"))
        body = await self._in_time(receive)
        if isinstance(body, list):
            return Incoming(_joined(body, headers if scope["path"].startswith("/v2/") else {}), headers, time.monotonic(), scope)
        return Incoming(body, headers, time.monotonic(), scope)  # a slow upload is not our delay

    async def _in_time(self, receive: Receive) -> bytes | list[bytes]:
        task = asyncio.current_task()
        self._patience.begin(task)
        try:
            return await self._chunks(receive)
        except asyncio.CancelledError as error:
            if not self._patience.lost(task):
                raise
            late = InputError("The body did not arrive in time", field="body", expected=f"all of it within {self._patience.seconds:g} s")
            raise RefusalError(408, late, [CLOSE]) from error
        finally:
            self._patience.end(task)

    async def _chunks(self, receive: Receive) -> bytes | list[bytes]:
        """The body as it came: in one piece, or in several."""
        chunks, size = list[bytes](), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max:
                raise self._too_large(f"more than {self._max}")
            if not message.get("more_body", False):
                return [*chunks, chunk] if chunks else chunk
            chunks.append(chunk)

    def _too_large(self, said: str) -> RefusalError:
        error = InputError("The body is too large", field="body", got=f"{said} bytes", expected=f"at most {self._max} bytes")
        return RefusalError(413, error)  # what still comes is thrown away, up to a limit: see connection.py


def _joined(chunks: list[bytes], headers: dict[bytes, bytes]) -> bytes | memoryview:
    """Pieces as one body. Raw tensors behind a head of JSON are placed where an array may begin, so that they need no second copy."""
    said = headers.get(HEADER_LENGTH, b"")
    if not said.isdigit() or len(said) > 15:
        return b"".join(chunks)
    lead = -int(said) % ALIGNED
    return memoryview(b"".join((b"\0" * lead, *chunks)))[lead:]


class Patience:
    """Cancels tasks that take longer than `seconds` (up to an eighth more). One timer, which rests while nothing waits."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._step = seconds, min(seconds / 8, 1.0)
        self._since: dict[Any, float] = {}
        self._lost: set[Any] = set()
        self._next = 0.0

    def begin(self, task: Any) -> None:
        """This task waits from now on."""
        self._since[task] = now = time.monotonic()
        if now >= self._next:  # the timer rests, or its loop is gone
            self._next = now + 2 * self._step
            asyncio.get_running_loop().call_later(self._step, self._look)

    def end(self, task: Any) -> None:
        """It waits no longer."""
        del self._since[task]

    def lost(self, task: Any) -> bool:
        """Whether a cancellation that arrived in `task` was from here; it is taken back then."""
        if task not in self._lost:
            return False
        self._lost.discard(task)
        task.uncancel()
        return True

    def _look(self) -> None:
        now = time.monotonic()
        self._next = 0.0
        for task, since in self._since.items():
            if now - since > self.seconds and task not in self._lost:
                self._lost.add(task)
                task.cancel()
        if self._since:
            self._next = now + 2 * self._step
            asyncio.get_running_loop().call_later(self._step, self._look)
