"""The table of all routes over the deployments of a server, and the small pages: health, metrics, OpenAPI, docs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import orjson

from . import oip
from .asgi import PROMETHEUS, TEXT, Incoming, Methods, Reply
from .docs_page import PAGE, PAGE_HEADERS
from .hosts import Hosts
from .openapi_desk import with_desk
from .openapi_keys import with_keys
from .openapi_server import whole
from .routes import Routes
from .typed import TypedDoor

PREDICT, BARE = "/predict", "/api/predict"


class Pages:
    """What a server says of itself."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def routes(self) -> dict[str, Methods]:
        """Path -> handlers."""
        return {
            "/livez": {"GET": self._livez}, "/readyz": {"GET": self._readyz}, "/metrics": {"GET": self._metrics},
            "/openapi.json": {"GET": self._openapi}, "/docs": {"GET": self._docs}, "/": {"GET": self._docs},
        }  # fmt: skip

    async def _livez(self, _: Incoming) -> Reply:
        return Reply(200, b"alive\n", TEXT)

    async def _readyz(self, _: Incoming) -> Reply:
        self._hosts.check_ready()
        return Reply(200, b"ready\n", TEXT)

    async def _metrics(self, _: Incoming) -> Reply:
        return Reply(200, self._hosts.metrics().encode(), PROMETHEUS)

    async def _openapi(self, _: Incoming) -> Reply:
        document = whole([(host.name, host.openapi) for host in self._hosts.defaults])
        document = with_desk(document) if self._hosts.desk else document
        return Reply(200, orjson.dumps(with_keys(document) if self._hosts.keys else document))

    async def _docs(self, _: Incoming) -> Reply:
        return Reply(200, PAGE, b"text/html; charset=utf-8", PAGE_HEADERS)


def table(hosts: Hosts) -> Routes:
    """Every route: by exact path for what is asked most, by folder for versions that are named."""
    doors = {id(host): TypedDoor(host) for host in hosts.all}
    first = doors[id(hosts.first)]
    routes = Routes({PREDICT: {"POST": first.predict}, BARE: {"POST": first.bare}, **Pages(hosts).routes()})
    for host in hosts.defaults:
        routes.exact[f"{PREDICT}/{host.name}"] = {"POST": doors[id(host)].predict}
        routes.exact.setdefault(f"/api/{host.name}", {"POST": doors[id(host)].bare})

    def inside(path: str) -> Methods | None:
        name, _, number = path.removeprefix(f"{PREDICT}/").partition("/")
        host = hosts.known(name, number or None)
        return {"POST": doors[id(host)].predict}

    routes.folders[f"{PREDICT}/"] = inside
    oip.mount(routes, hosts, _version())
    return routes


def _version() -> str:
    try:
        return version("portside")
    except PackageNotFoundError:
        return ""
