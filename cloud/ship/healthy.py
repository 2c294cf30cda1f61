"""`python -m portside.cloud.ship.healthy URL`: exit code 0 where a server on this machine is ready, else 1. For a container's health check.

`tcp://` asks only whether something listens: a server that wants a caller's certificate answers nobody else.
"""

from __future__ import annotations

import socket
import ssl
import sys
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def healthy(url: str) -> bool:
    """Ask once."""
    place = urlsplit(url)
    try:
        if place.scheme == "tcp":
            socket.create_connection((place.hostname or "127.0.0.1", place.port or 3000), TIMEOUT_S).close()
            return True
        context = ssl._create_unverified_context() if place.scheme == "https" else None  # noqa: S323  this machine's own server
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310  as the Dockerfile says
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(sys.argv[1]) else 1)
