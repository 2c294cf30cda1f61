"""What of a desk a caller may see: a key is for every deployment, or for some by name; without keys everything is everybody's.

The guard in cloud/security/access.py asked for a key with a scope that fits the route; which deployment's data a request is
about is known only in its handler, which asks here.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...sdk.core.errors import TrustError
from ..doors.asgi import Incoming, RefusalError
from ..security.access import KEY
from ..security.keys import EVERY, Key


def may(incoming: Incoming, deployment: str) -> bool:
    """Whether the caller's key is for this deployment, or the graph that "graph/step" is a step of. True where no key was asked for."""
    key: Key | None = incoming.scope.get(KEY)
    return key is None or key.allows(deployment.partition("/")[0])


def visible(incoming: Incoming, deployments: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that the caller may see, in their order."""
    return tuple(name for name in deployments if may(incoming, name))


def check(incoming: Incoming, deployment: str) -> None:
    """Raise RefusalError (403) unless the caller's key is for this deployment."""
    if not may(incoming, deployment):
        raise RefusalError(403, TrustError(f"This key is not for the deployment {deployment[:63]!r}"))


def everything(incoming: Incoming) -> bool:
    """Whether the caller may see what belongs to any deployment, or to none that is known."""
    key: Key | None = incoming.scope.get(KEY)
    return key is None or EVERY in key.deployments
