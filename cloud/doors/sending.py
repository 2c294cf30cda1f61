"""A reply as the headers and the parts of a body that leave, whichever way they go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from .asgi import JOIN_BYTES, OURS, SECURITY, Headers, Reply, Send

Give: TypeAlias = Callable[..., Awaitable[None]]
"""Hands a reply, and more headers, to the connection."""
Part: TypeAlias = bytes | bytearray | memoryview


async def send(send: Send, head: bool, reply: Reply, *more: tuple[bytes, bytes]) -> None:
    """A reply as ASGI messages; `head`: without its body."""
    about = (b"content-type", reply.content_type), (b"content-length", b"%d" % size_of(reply))
    headers: Headers = [*about, *SECURITY, *reply.headers, *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers, OURS: True})
    parts = [b""] if head else parts_of(reply)
    for place, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": place + 1 < len(parts)})


def size_of(reply: Reply) -> int:
    """Bytes of the body."""
    return len(reply.body) + sum(map(len, reply.more)) if reply.more else len(reply.body)


def parts_of(reply: Reply) -> list[Part]:
    """The body in parts: small ones are joined, large ones go as they are, so that no tensor is copied."""
    if not reply.more:
        return [reply.body]
    small, parts = bytearray(reply.body), list[Part]()
    for part in reply.more:
        if len(part) < JOIN_BYTES:
            small += part
        else:
            parts += [small, part] if small else [part]
            small = bytearray()
    return [*parts, small] if small else parts
