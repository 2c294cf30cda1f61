"""One connection of the local doors: heads and bodies within their sizes and times, replies within theirs.

Times are of a whole head, body or reply, not of one read: a caller that sends a byte a second is as late as one that sends none.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from ..sdk.core.errors import InputError
from .door_messages import Refused
from .door_settings import DoorSettings

END, READ_BYTES, LINGER_S = b"\r\n\r\n", 64 << 10, 2.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Gone(Exception):
    """The caller has left, or rested longer than it may."""


class Line:
    """A connection, read by one thread."""

    def __init__(self, connection: socket.socket, settings: DoorSettings) -> None:
        self._connection, self._settings = connection, settings
        self._held = bytearray()

    @property
    def rests(self) -> bool:
        """Nothing of a next request is here."""
        return not self._held

    def wait(self) -> None:
        """Until something of a request is here. Raises Gone."""
        if not self._held:
            try:
                self._held += self._read(time.monotonic() + self._settings.rest_s)
            except TimeoutError as error:
                raise Gone from error

    def head(self) -> bytes:
        """The head of a request, without the empty line that ends it. Raises Gone, Refused (408, 431)."""
        deadline, most, looked = time.monotonic() + self._settings.head_s, self._settings.max_head_bytes, 0
        while True:
            while self._held.startswith(b"\r\n"):  # an empty line in front of a request is overlooked
                del self._held[:2]
                looked = 0
            end = self._held.find(END, looked)
            if end > most or (end < 0 and len(self._held) > most):
                raise Refused(431, InputError("The head is too large", field="head", expected=f"at most {most} bytes"), close=True)
            if end >= 0:
                head = bytes(self._held[:end])
                del self._held[: end + len(END)]
                return head
            looked = max(0, len(self._held) - len(END) + 1)
            self._held += self._read_in_time(deadline, "head", self._settings.head_s)

    def body(self, length: int, announced: bool) -> bytearray:
        """A body of that many bytes. announced: the caller waits to hear that it may send it. Raises Gone, Refused (408, 413)."""
        most = self._settings.max_body_bytes
        if length > most:
            error = InputError("The body is too large", field="body", got=f"{length} bytes", expected=f"at most {most} bytes")
            raise Refused(413, error, close=True)
        if announced and len(self._held) < length:
            self.send(CONTINUE)
        deadline = time.monotonic() + self._settings.body_s
        while len(self._held) < length:
            self._held += self._read_in_time(deadline, "body", self._settings.body_s)
        if len(self._held) == length:
            body, self._held = self._held, bytearray()
            return body
        body = self._held[:length]
        del self._held[:length]
        return body

    def send(self, data: bytes) -> None:
        """Write all of it. Raises Gone where the caller does not take it in time."""
        try:
            self._connection.settimeout(self._settings.write_s)
            self._connection.sendall(data)
        except OSError as error:
            raise Gone from error

    def linger(self) -> None:
        """Throw away what still comes, for a moment: a close with unread bytes takes the reply away from who has not read it yet."""
        deadline = time.monotonic() + LINGER_S
        with suppress(Gone, OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while True:
                self._read(deadline)

    def _read_in_time(self, deadline: float, what: str, seconds: float) -> bytes:
        try:
            return self._read(deadline)
        except TimeoutError as error:
            late = InputError(f"The {what} did not arrive in time", field=what, expected=f"all of it within {seconds:g} s")
            raise Refused(408, late, close=True) from error

    def _read(self, deadline: float) -> bytes:
        """What is there, at least a byte. Raises TimeoutError, Gone."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            self._connection.settimeout(left)
            data = self._connection.recv(READ_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        return data
