"""The heads of plain requests: what the parser made of one, kept, so that the same bytes need not be parsed again.

Callers who keep a connection say the same head over and over, but for the length of the body. A head is known by all its bytes,
and only those are known that the parser has read to the end, so nothing here reads HTTP. Keys of callers are part of a head: they
are checked for each request all the same, and leave with the head, which is kept as long as there is room.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .asgi import HEAD, Scope

MOST = 256
MOST_BYTES = 2 << 10
"""Heads that are kept, and how long one of them may be."""
ROUTES = ("/predict", "/v2/models/", "/api/")
"""Paths of requests that are taken here begin like this."""
_SPECIAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})


class Head(NamedTuple):
    """The head of a plain request: a POST of HTTP/1.1 to a model, with a body of known length, on a connection that stays.

    Attributes:
        scope: as ASGI has it, and the headers as a mapping under HEAD; without what belongs to a connection. Read, never written.
        size: bytes of the body.
    """

    scope: Scope
    size: int


def plain(scope: Scope, size: int) -> Head | None:
    """The head of a request as uvicorn describes it, which the parser takes for a POST of HTTP/1.1 on a connection that stays.

    Args:
        scope: complete.
        size: bytes behind the head: its whole body, or it is not plain.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if not scope["path"].startswith(ROUTES) or headers.get(b"content-length") != b"%d" % size or not _SPECIAL.isdisjoint(headers):
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return Head({**scope, HEAD: headers}, size)


class Heads:
    """Those of one server process."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self.find: Any = self._known.get

    def keep(self, said: bytes, head: Head) -> None:
        """These bytes are this head. Where there is no room all others go: who varies heads makes none of them known for long."""
        if len(said) > MOST_BYTES:
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[said] = head
