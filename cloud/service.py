"""`ps.service("deployment.toml")`: a BentoML service made from a deployment file. The one line of a user's service.py.

The factory reads, resolves and compiles, so what is wrong is said once and ends the command. The class that BentoML
instantiates in each worker only starts the host. Requests to our routes are answered by our ASGI application before
BentoML's middleware; the schema of its typed route and the lifespan stay BentoML's.
"""

from __future__ import annotations

import inspect
import keyword
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # read by bentoml when it is imported: nothing is reported anywhere

import bentoml
from _bentoml_sdk.service.factory import Service
from bentoml.exceptions import InvalidArgument, ServiceUnavailable

from ..sdk.core.codec.step import WireField
from ..sdk.core.errors import FormatError, InputError, PortsideError
from .deployment.file import read
from .deployment.resolving import resolve
from .doors.asgi import Receive, Scope, Send
from .doors.http_app import HttpApp
from .doors.typed_route import ask
from .host import Host, leave_with_parent

BENTOML_PATHS = ("/schema.json",)
"""Paths that stay BentoML's: what its own client asks for first. The route itself has our one validator behind it too."""


class PortsideService(Service[Any]):
    """A BentoML service whose HTTP doors are ours."""

    doors: HttpApp

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application, with our doors in front of it."""
        inner: Any = super().to_asgi(is_main=is_main)
        doors = self.doors

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            ours = scope["type"] == "http" and scope["path"] not in BENTOML_PATHS
            await (doors if ours else inner)(scope, receive, send)

        return app


def service(path: str | Path, workers: int = 1) -> Any:
    """A BentoML service from a deployment file; `bentoml serve service:svc` runs it.

    Args:
        path: the file; relative to the working directory, else to the file that calls.
        workers: server processes, each with models of its own.

    Raises:
        PortsideError: whatever is wrong with the deployment or a package it names.
    """
    resolved = resolve(read(_located(Path(path), sys._getframe(1).f_globals.get("__file__"))))
    host = Host(resolved)
    made: Any = bentoml.service(
        name=resolved.deployment.name, workers=workers, service_class=PortsideService,
        tracing={"excluded_urls": ".*"}, logging={"access": {"enabled": False}}, metrics={"enabled": False},
        traffic={"timeout": 60},
    )(_service_class(host))  # fmt: skip
    made.doors = HttpApp(host, int(resolved.deployment.server.max_body_mb * (1 << 20)))
    return made


def _service_class(host: Host) -> type:
    """The class of one deployment: opens its models when it is instantiated, which happens once per worker."""

    class Served:
        """A deployment, served."""

        def __init__(self) -> None:
            leave_with_parent()
            host.start()

        @bentoml.on_shutdown
        def close(self) -> None:
            host.close()

        predict = _typed_route(host)

    return Served


def _typed_route(host: Host) -> Any:
    """BentoML's own route, `/api/predict`: one typed parameter per wire field, or `inputs` where a name cannot be one."""

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
    predict.__signature__ = inspect.Signature([self_parameter, *typed], return_annotation=dict[str, Any])  # type: ignore[attr-defined]
    return bentoml.api(route="/api/predict")(predict)


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
