"""The deployments of one server: found by name and version, ready together, told apart on one metrics page.

The first one given answers where a request names none. Of two with the same name the first is the default version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...sdk.core.errors import InputError
from ..answering.answers import Answerer, NotReadyError
from .asgi import RefusalError
from .metrics_page import merged
from .wire import Wire

_NAMED = re.compile(r"/(?:v2/models|predict|api)/([^/]+)(?:/versions)?(?:/([^/]+))?")


class Serving(Protocol):
    """One deployment, as the doors see it. What it holds may be replaced while requests are served."""

    @property
    def engine(self) -> Answerer | None:
        """What answers; None until the models are ready."""
        ...

    @property
    def wire(self) -> Wire:
        """Between requests and the codec."""
        ...

    @property
    def openapi(self) -> dict[str, Any]:
        """Of the typed route, see openapi.py."""
        ...

    @property
    def name(self) -> str:
        """Of the deployment."""
        ...

    @property
    def version(self) -> str:
        """Of the champion: its number in the store, else the beginning of its digest."""
        ...

    @property
    def max_body_bytes(self) -> int:
        """Larger requests are refused."""
        ...

    @property
    def receipt(self) -> str:
        """Where receipts go when a request does not say: see receipts.py."""
        ...

    @property
    def fault(self) -> str:
        """Why there is no engine."""
        ...


class Hosts:
    """The registry. Immutable; what a host holds is not.

    Attributes:
        all: in the order given.
        first: what answers when nothing is named.
        several: there is more than one.
        pages: more lines for the metrics page, of the server itself.
        keys: callers have to show one; said in the OpenAPI document, as is
        desk: there is one.
        defaults: the default version of each name.
    """

    def __init__(self, hosts: Sequence[Serving]) -> None:
        self.all, self.first, self.several = tuple(hosts), hosts[0], len(hosts) > 1
        self.pages: list[Callable[[], list[str]]] = []
        self.keys = self.desk = False
        self.by_name: dict[str, tuple[Serving, ...]] = {}
        for host in self.all:
            self.by_name[host.name] = (*self.by_name.get(host.name, ()), host)
        self.defaults = tuple(named[0] for named in self.by_name.values())

    def find(self, name: str, version: str | None = None) -> Serving | None:
        """The deployment of a name: this version of it, or the default one."""
        named = self.by_name.get(name, ())
        if version is None:
            return named[0] if named else None
        return next((host for host in named if host.version == version), None)

    def known(self, name: str, version: str | None = None) -> Serving:
        """As `find`. Raises RefusalError (404) that says which there are."""
        host = self.find(name, version)
        if host is not None:
            return host
        if name not in self.by_name:
            raise RefusalError(404, InputError("There is no such model", field="model", got=name[:60], expected=", ".join(self.by_name)))
        raise RefusalError(404, InputError(f"The model {name!r} has no such version", field="version", got=(version or "")[:60],
                                           expected=", ".join(self.versions(name))))  # fmt: skip

    def versions(self, name: str) -> list[str]:
        """The versions of a name, the default one first."""
        return [host.version for host in self.by_name[name]]

    def at(self, path: str) -> Serving:
        """The deployment that a path names, else the first one."""
        found = _NAMED.match(path) if self.several else None
        if found is None or found[1] not in self.by_name:
            return self.first
        return self.find(found[1], found[2]) or self.by_name[found[1]][0]

    def check_ready(self) -> None:
        """Raise NotReadyError while any of them is not ready: a server with half its models is not one to send requests to."""
        for host in self.all:
            if host.engine is None:
                raise NotReadyError(f"{host.name}: {host.fault}" if self.several else host.fault)

    def metrics(self) -> str:
        """One page: as it is for one deployment, labelled `deployment` and `version` where there are several."""
        if self.several:
            text = merged([(labels(host), host.engine.metrics.text()) for host in self.all if host.engine is not None])
        else:
            text = self.first.engine.metrics.text() if self.first.engine else ""
        return text + "".join(line + "\n" for page in self.pages for line in page())


def labels(host: Serving) -> Mapping[str, str]:
    """What tells a deployment's metrics from those of others."""
    return {"deployment": host.name, "version": host.version}
