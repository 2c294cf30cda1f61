"""What the parts of the HTTP doors share: the ASGI types, a request that was read, a reply, a refusal, and guards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias

from ...sdk.core.errors import PortsideError
from ..answering.answers import Answer

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
SECURITY = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""On every answer: it is what its type says, and nobody keeps it."""
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
HEADER_LENGTH = b"inference-header-content-length"
"""Where a body of the Open Inference Protocol is JSON followed by raw tensors: how long the JSON is."""
OURS = "portside.answer"
"""In an ASGI message: the headers are ours, and the body is as long as they say. See cycle.py."""
JOIN_BYTES = 32 << 10
"""Parts of a body below this are copied together: a system call costs more than the copy."""
LEFT = 499
"""The status that guards are told where the client left before an answer was there."""
HEAD = "portside.request"
"""Key of the scope under which guards find the request's headers as a mapping."""
WHO = "portside.key"
"""Key of the scope under which a guard puts the name of the caller's key, for the log."""
ANSWER = "portside.answer"
"""Key of the scope under which guards find the Answer when they are left, where there was one."""
MORE = "portside.headers"
"""Key of the scope under which a guard may put headers (a list of pairs) that go out with the answer."""


class Incoming(NamedTuple):
    """A request whose body has been read. What few handlers ask for is looked up in the scope when it is asked.

    Attributes:
        arrived: monotonic seconds when the last of it was there.
        scope: the ASGI scope, into which guards put what they found.
    """

    body: bytes | memoryview
    headers: dict[bytes, bytes]
    arrived: float
    scope: Scope = {}  # noqa: RUF012  read, never written

    @property
    def path(self) -> str:
        """Without the query, percent-decoded."""
        return self.scope.get("path", "")

    @property
    def query(self) -> bytes:
        """What stands behind the question mark, as it was sent."""
        return self.scope.get("query_string", b"")

    @property
    def who(self) -> str:
        """The name of the caller's key; empty where none was asked for."""
        return self.scope.get(WHO, "")


class Reply(NamedTuple):
    """Status, body, content type, more headers.

    Attributes:
        error: the kind of a refusal, for the log.
        more: raw tensors behind the body.
        answer: what was answered, for guards and the log.
    """

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Iterable[tuple[bytes, bytes]] = ()
    error: str = ""
    more: tuple[bytes | memoryview, ...] = ()
    answer: Answer | None = None


Handler: TypeAlias = Callable[[Incoming], Awaitable[Reply]]
Methods: TypeAlias = dict[str, Handler]


class RefusalError(Exception):
    """A request that is refused with this status and error."""

    def __init__(self, status: int, error: PortsideError, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status, self.error, self.headers = status, error, headers
        super().__init__(str(error))


class Guard(Protocol):
    """Stands before the doors: sees a request before its body is read, and is told its end. Both are called on the event loop.

    Guards are entered in order and left in the opposite order; one that refused, and those after it, are not left.
    """

    def enter(self, scope: Scope) -> Any:
        """A ticket for `leave`. Raises RefusalError where the request is to be refused."""
        ...

    def leave(self, ticket: Any, status: int, seconds: float) -> None:
        """The answer is handed to the connection (or the client left: LEFT). `seconds` since the first guard was entered."""
        ...
