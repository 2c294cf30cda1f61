"""The Open Inference Protocol v2 over HTTP, as KServe, Triton and MLServer speak it: routes and their handlers.

Beside the protocol: the extension for binary tensors, `POST /v2/repository/index` (which models there are), and request
bodies compressed with gzip or deflate. Refusals are `{"error": "a sentence"}`, with what/got/expected/fix beside it.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...sdk.core.errors import InputError, PortsideError
from ..answering.answers import NotReadyError, Question
from .asgi import HEADER_LENGTH, Incoming, Methods, RefusalError, Reply
from .hosts import Hosts, Serving
from .inflate import inflated
from .oip_metadata import EXTENSIONS, model_metadata
from .oip_reply import ReplyWriter
from .oip_request import RequestReader
from .receipts import places
from .routes import Routes
from .wire import Wire

ROOT, MODELS = "/v2", "/v2/models/"


class ModelDoor:
    """The routes of one model. Reader and writer are made again only where the host holds another version."""

    def __init__(self, host: Serving, hosts: Hosts) -> None:
        self._host, self._hosts = host, hosts
        self._made: tuple[Wire, str, RequestReader, ReplyWriter] | None = None

    def routes(self) -> dict[str, Methods]:
        """What follows the model's own path -> handlers."""
        return {"": {"GET": self._metadata}, "/ready": {"GET": self._ready}, "/infer": {"POST": self._infer}}

    async def _infer(self, incoming: Incoming) -> Reply:
        engine = self._host.engine
        if engine is None:
            raise NotReadyError(self._host.fault)
        receipt = places(incoming.headers, self._host.receipt)
        reader, writer = self._codecs()
        body = incoming.body
        if coding := incoming.headers.get(b"content-encoding"):
            body = await inflated(body, coding, self._host.max_body_bytes)
        try:
            asked = reader.read(body, _header_length(incoming))
        except orjson.JSONDecodeError as error:
            raise RefusalError(400, InputError(f"The body is not JSON: {error}", field="body")) from error
        answer = await engine.answer(Question(asked.wire, incoming.arrived, asked.entity, asked.event_ms))
        return writer.write(answer, asked, receipt)

    def _codecs(self) -> tuple[RequestReader, ReplyWriter]:
        wire, version = self._host.wire, self._host.version
        if self._made is None or self._made[0] is not wire or self._made[1] != version:
            self._made = (wire, version, RequestReader(wire), ReplyWriter(self._host.name, version, wire.signature))
        return self._made[2:]

    async def _metadata(self, _: Incoming) -> Reply:
        return _json(model_metadata(self._host.name, self._hosts.versions(self._host.name), self._host.wire))

    async def _ready(self, _: Incoming) -> Reply:
        if self._host.engine is None:
            raise NotReadyError(self._host.fault)
        return _json({"name": self._host.name, "ready": True})


class ServerDoor:
    """The routes of the server."""

    def __init__(self, hosts: Hosts, version: str) -> None:
        self._hosts, self._version = hosts, version

    def routes(self) -> dict[str, Methods]:
        """Path -> handlers."""
        return {ROOT: {"GET": self._metadata}, f"{ROOT}/health/live": {"GET": self._live}, f"{ROOT}/health/ready": {"GET": self._ready},
                f"{ROOT}/repository/index": {"POST": self._index}}  # fmt: skip

    async def _metadata(self, _: Incoming) -> Reply:
        return _json({"name": "portside", "version": self._version, "extensions": list(EXTENSIONS)})

    async def _live(self, _: Incoming) -> Reply:
        return _json({"live": True})

    async def _ready(self, _: Incoming) -> Reply:
        self._hosts.check_ready()
        return _json({"ready": True})

    async def _index(self, _: Incoming) -> Reply:
        """Every model and version, and whether it is ready."""
        return _json([_listed(host) for host in self._hosts.all])


def mount(routes: Routes, hosts: Hosts, version: str) -> None:
    """Add the protocol's routes to a table: exact paths for the default version of a name, a folder for the others."""
    routes.exact.update(ServerDoor(hosts, version).routes())
    doors = {id(host): ModelDoor(host, hosts).routes() for host in hosts.all}
    for name, named in hosts.by_name.items():
        routes.exact.update({f"{MODELS}{name}{rest}": methods for rest, methods in doors[id(named[0])].items()})

    def inside(path: str) -> Methods | None:
        name, _, rest = path.removeprefix(MODELS).partition("/")
        number, rest = _versioned(rest)
        return doors[id(hosts.known(name, number))].get(rest)

    routes.folders[MODELS] = inside


def in_its_form(error: PortsideError) -> dict[str, Any]:
    """A refusal as the protocol has it: `error` is a sentence; the kind of error and the parts of it stand beside."""
    data = error.to_dict()
    return {**data, "error": str(error), "kind": data["error"]}


def _versioned(rest: str) -> tuple[str | None, str]:
    """(the version that is named, what follows it) of what follows a model's name."""
    word, _, after = rest.partition("/")
    if word != "versions":
        return None, f"/{rest}" if rest else ""
    number, _, after = after.partition("/")
    return number, f"/{after}" if after else ""


def _listed(host: Serving) -> dict[str, str]:
    if host.engine is not None:
        return {"name": host.name, "version": host.version, "state": "READY", "reason": ""}
    return {"name": host.name, "version": host.version, "state": "UNAVAILABLE", "reason": host.fault}


def _header_length(incoming: Incoming) -> int | None:
    said = incoming.headers.get(HEADER_LENGTH)
    if said is None:
        return None
    if not said.isdigit():
        raise RefusalError(400, InputError("Inference-Header-Content-Length is a number of bytes", field="inference-header-content-length",
                                           got=said[:20].decode("latin-1")))  # fmt: skip
    return int(said)


def _json(data: Any) -> Reply:
    return Reply(200, orjson.dumps(data))
