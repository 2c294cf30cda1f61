"""`ps.service("deployment.toml")`: a BentoML service made from deployment files. The one line of a user's service.py.

The factory reads, resolves and compiles, so what is wrong is said once and ends the command. The class that BentoML
instantiates in each worker only starts the host. Requests to our routes are answered by our ASGI application before
BentoML's middleware; the schema of its typed route and the lifespan stay BentoML's.
"""

from __future__ import annotations

import inspect
import keyword
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # read by bentoml when it is imported: nothing is reported anywhere

import bentoml
from _bentoml_sdk.service.factory import Service
from bentoml._internal.utils.analytics import usage_stats
from bentoml.exceptions import InvalidArgument, ServiceUnavailable

from ..sdk.core.codec.step import WireField
from ..sdk.core.errors import FormatError, InputError, PortsideError
from .beside import leave_with_parent
from .deployment.file import read
from .deployment.version import check_distinct
from .desk.opening import attended
from .doors.asgi import Receive, Scope, Send
from .doors.hosts import Hosts
from .doors.typed_route import ask
from .draining import Drain
from .following import Follower, newest, note_start
from .front import Front, make_front
from .graph.resolving import resolve
from .host import Host
from .memory import keep_freed_blocks, set_apart
from .monitoring.companions import Watched
from .review.attending import Attendant
from .rollouts.companions import Steered
from .turns import short_turns

usage_stats.do_not_track.cache_clear()  # `bentoml serve` asked before this file was imported, and keeps the answer
BENTOML_PATHS = ("/schema.json",)
"""Paths that stay BentoML's: what its own client asks for first. The route itself has our one validator behind it too."""


class PortsideService(Service[Any]):
    """A BentoML service whose HTTP doors are ours."""

    front: Front
    drain: Drain

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application, with our doors in front of it."""
        inner: Any = super().to_asgi(is_main=is_main)
        doors, drain = self.front.doors, self.drain
        self.front.install()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                if scope["type"] == "lifespan":
                    drain.install()
                await inner(scope, receive, send)
            elif scope["path"] in BENTOML_PATHS:
                await doors.in_front_of(inner, scope, receive, send)
            else:
                await drain.app(scope, receive, send)

        return app


def service(*paths: str | Path, workers: int = 1) -> Any:
    """A BentoML service from deployment files; `bentoml serve service:svc` runs it.

    Args:
        paths: the files; relative to the working directory, else to the file that calls. The first one answers where a
            request names none; of two with the same name the first is the default version.
        workers: server processes, each with models of its own.

    Raises:
        PortsideError: whatever is wrong with a deployment or a package it names.
    """
    caller = sys._getframe(1).f_globals.get("__file__")
    resolved = [resolve(read(_located(Path(path), caller))) for path in paths or ("deployment.toml",)]
    check_distinct(resolved)
    for one in resolved:
        one.deployment.check_workers(workers)
    note_start()
    begun = [newest(one.deployment) for one in resolved]
    hosts = [Host(begun[place][1] or one) for place, one in enumerate(resolved)]
    beside: list[Companion] = [Follower(host, begun[place][0]) for place, host in enumerate(hosts)]
    made: Any = bentoml.service(
        name=resolved[0].deployment.name, workers=workers, service_class=PortsideService,
        tracing={"excluded_urls": ".*"}, logging={"access": {"enabled": False}}, metrics={"enabled": False},
        traffic={"timeout": 60},
    )(_service_class(hosts, beside))  # fmt: skip
    every, watched = Hosts(hosts), Watched(hosts, [one.deployment for one in resolved], _first_worker)
    every.pages.append(watched.page)
    beside += [watched, Steered(hosts, _first_worker)]
    made.front = make_front(every, [one.deployment for one in resolved], workers)
    beside += [Attendant(desk) for desk in attended([one.deployment for one in resolved], made.front.desk)]
    made.drain = Drain(made.front.doors, hosts, resolved[0].deployment.server.drain_s)
    return made


def _first_worker() -> bool:
    """This is the only serving process, or the first of several."""
    return bentoml.server_context.worker_index in (None, 1)


class Companion(Protocol):
    """What each worker runs beside its models, as long as it serves."""

    def start(self) -> None:
        """Begin; returns at once."""
        ...

    def close(self) -> None:
        """End."""
        ...


def _service_class(hosts: Sequence[Host], beside: Sequence[Companion]) -> type:
    """The class of a server: opens its models when it is instantiated, which happens once per worker. `beside` may still grow till then."""

    class Served:
        """Deployments, served."""

        def __init__(self) -> None:
            keep_freed_blocks()
            short_turns()
            leave_with_parent()
            for host in hosts:
                host.settled = set_apart
            for host in (*hosts, *beside):
                host.start()

        @bentoml.on_shutdown
        def close(self) -> None:
            for host in (*beside, *hosts):
                host.close()

    for method, route, host in _typed_routes(hosts):
        setattr(Served, method, _typed_route(host, method, route))
    return Served


def _typed_routes(hosts: Sequence[Host]) -> list[tuple[str, str, Host]]:
    """(name of the method, route, host) of BentoML's own routes: `/api/predict` for the first, `/api/NAME` for the default versions
    of the others. BentoML's client calls the method."""
    found, names = [("predict", "/api/predict", hosts[0])], {hosts[0].name}
    for host in hosts[1:]:
        if host.name not in names:
            names.add(host.name)
            method = re.sub(r"\W", "_", host.name, flags=re.ASCII)
            method = method if method.isidentifier() and not keyword.iskeyword(method) else f"m_{method}"
            taken = {name for name, _, _ in found} | {"close"}
            found.append((method + "_" * (method in taken), f"/api/{host.name}", host))
    return found


def _typed_route(host: Host, method: str, route: str) -> Any:
    """One route of BentoML's: one typed parameter per wire field, or `inputs` where a name cannot be one."""

    async def predict(self: Any, **inputs: Any) -> dict[str, Any]:
        try:
            return await ask(host, inputs if usable else inputs["inputs"])
        except InputError as error:
            raise InvalidArgument(str(error)) from error
        except PortsideError as error:
            raise ServiceUnavailable(str(error)) from error

    fields = host.wire.fields
    self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    usable = all(name.isidentifier() and not keyword.iskeyword(name) and name not in ("self", "ctx", "context") for name in fields)
    annotations = {name: _annotation(wire) for name, wire in fields.items()} if usable else {"inputs": dict[str, Any]}
    typed = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in annotations.items()]
    predict.__name__ = method
    predict.__signature__ = inspect.Signature([self_parameter, *typed], return_annotation=dict[str, Any])  # type: ignore[attr-defined]
    return bentoml.api(route=route)(predict)


def _annotation(wire: WireField) -> Any:
    """The Python type of a batch of this field, for BentoML's schema; the real check is the codec's and the door's."""
    element = {"image": str, "text": str, "category": str, "number": float}.get(wire.type)
    if element is None:
        return list[Any]
    return list[element | None] if wire.missing else list[element]


def _located(path: Path, caller: object) -> Path:
    """The file itself, or the one beside the caller's file. Raises FormatError."""
    beside = Path(str(caller)).parent / path if caller else path
    for candidate in (path, beside):
        if candidate.is_file():
            return candidate
    raise FormatError("There is no deployment file", got=str(path), expected="a TOML file", fix="See docs/deployment-file.md.")
