"""Whether others than this machine may ask a server. Read by `portside serve` before it listens, and by each worker."""

from __future__ import annotations

import os

from ..deployment.file import Deployment

INSECURE_PUBLIC = "PORTSIDE_INSECURE_PUBLIC"
"""In the environment: as `insecure_public = true` in [server]."""
SHIPPING = "PORTSIDE_SHIPPING"
"""In the environment of a build: the service is looked at, not served, so its keys need not be there."""


def public(deployment: Deployment) -> bool:
    """There are keys, or client certificates, or it was said that they may."""
    server = deployment.server
    secured = server.keys is not None or (server.tls is not None and server.tls.client_ca is not None)
    return secured or server.insecure_public or os.environ.get(INSECURE_PUBLIC) == "1"
