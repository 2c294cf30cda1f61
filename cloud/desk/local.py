"""Who may ask a desk without keys: programs and people of this machine, and no web page that a browser of theirs has open.

A page from elsewhere can send requests to 127.0.0.1. It cannot read the answers, unless it gives its own host name this address
(DNS rebinding): then the browser sends that name. So without keys the `Host` of a request is a number or "localhost". Writing
needs JSON (asking.py), which a browser sends to another site only after asking it, and nothing here says yes.
"""

from __future__ import annotations

import ipaddress

from ...sdk.core.errors import TrustError
from ..doors.asgi import Handler, Incoming, RefusalError, Reply
from ..doors.routes import Folder, Methods

NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def is_number(host: bytes) -> bool:
    """Whether a `Host` header names an address by number, or this machine."""
    name = host.decode("latin-1").strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.rpartition(":")[0] if name.count(":") == 1 else name
    if name in NAMES or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def only_here(handler: Handler) -> Handler:
    """The handler, which asks for such a host first."""

    async def asked(incoming: Incoming) -> Reply:
        host = incoming.headers.get(b"host", b"")
        if host and not is_number(host):
            raise RefusalError(403, TrustError("Without keys the desk answers this machine alone", got=host[:80].decode("latin-1"),
                                               expected="localhost or an address by number",
                                               fix="Open it by its address, or make keys: docs/dashboard.md."))  # fmt: skip
        return await handler(incoming)

    return asked


def only_here_all(methods: Methods) -> Methods:
    """The same for every method of a path."""
    return {method: only_here(handler) for method, handler in methods.items()}


def only_here_inside(folder: Folder) -> Folder:
    """The same for a folder."""

    def inside(path: str) -> Methods | None:
        methods = folder(path)
        return None if methods is None else only_here_all(methods)

    return inside
