"""Replies of the desk: JSON with an ETag, so that a page that asks every few seconds is sent only what changed; what is not there."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import orjson

from ...sdk.core.errors import InputError
from ..doors.asgi import JSON, Incoming, RefusalError, Reply


def told(data: Any, incoming: Incoming | None = None, status: int = 200) -> Reply:
    """`data` as JSON. With the request: 304 without a body where it holds this very answer already.

    Numbers that JSON has not (NaN, infinity) leave as null; what JSON does not know becomes text.
    """
    return tagged(orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY), JSON, incoming, status)


def tagged(content: bytes, content_type: bytes, incoming: Incoming | None = None, status: int = 200) -> Reply:
    """Bytes with an ETag, or 304."""
    tag = b'"%s"' % blake2b(content, digest_size=12).hexdigest().encode()
    headers = [(b"etag", tag)]
    if incoming is not None and tag in incoming.headers.get(b"if-none-match", b""):
        return Reply(304, b"", content_type, headers)
    return Reply(status, content, content_type, headers)


def absent(what: str, got: str, fix: str | None = None) -> RefusalError:
    """404: to be raised."""
    return RefusalError(404, InputError(what, got=got[:100], fix=fix))


Work = Callable[[Incoming], Reply]
"""What answers a request and may block: it reads the database. See `Desk.threaded`."""
