"""Request bodies that were compressed (gzip, deflate), inflated up to a limit: a small body must not become a large one."""

from __future__ import annotations

import asyncio
import zlib

from ...sdk.core.errors import InputError
from .asgi import RefusalError

_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""zlib's window bits: 31 expects the header of gzip, 15 that of zlib, which HTTP calls deflate."""
_INLINE_BYTES = 4 << 10


async def inflated(body: bytes | memoryview, coding: bytes, limit: int) -> bytes | memoryview:
    """The body itself, off the event loop where it is large. Raises RefusalError (400, 413, 415)."""
    coding = coding.strip().lower()
    if coding == b"identity":
        return body
    if coding not in _WINDOWS:
        raise RefusalError(415, InputError("The content encoding is not one this route takes", field="content-encoding",
                                           got=coding[:40].decode("latin-1"), expected="gzip, deflate or identity"))  # fmt: skip
    if len(body) <= _INLINE_BYTES:
        return inflate(body, coding, limit)
    return await asyncio.to_thread(inflate, body, coding, limit)


def inflate(body: bytes | memoryview, coding: bytes, limit: int) -> bytes:
    """At most `limit` bytes. Raises RefusalError: 413 where there are more, 400 where the body is damaged or cut short."""
    engine = zlib.decompressobj(_WINDOWS[coding])
    try:
        data = engine.decompress(body, limit + 1)
    except zlib.error as error:
        raise RefusalError(400, InputError(f"The body cannot be inflated: {error}", field="body")) from error
    if len(data) > limit:
        raise RefusalError(413, InputError("The body is too large once inflated", field="body", expected=f"at most {limit} bytes"))
    if not engine.eof or engine.unused_data:
        raise RefusalError(400, InputError("The compressed body is cut short, or something follows it", field="body"))
    return data
