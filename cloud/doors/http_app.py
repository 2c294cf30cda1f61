"""The HTTP doors as a raw ASGI application: typed JSON, uploads, health, metrics, OpenAPI. Every refusal has one format.

A refusal is `PortsideError.to_dict()` as JSON: {"error", "what", "field", "row", "got", "expected", "fix"}. Bad input is
400 (cannot be parsed), 404, 405, 408, 413, 415 or 422 (parsed, and refused); 503 means that nothing could answer. A fault of
our own is a 500 without details; they are in the log.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol

import orjson

from ...sdk.core.errors import FormatError, InputError, PortsideError
from ..answering.answers import Answer, NoAnswerError, NotReadyError, Question
from ..answering.engine import Engine
from . import multipart
from .access_log import AccessLog
from .asgi import HEAD, JSON, LEFT, MORE, PROMETHEUS, TEXT, Guard, Headers, Incoming, Receive, RefusalError, Reply, Scope, Send
from .body import BodyReader
from .docs_page import PAGE, PAGE_HEADERS
from .request_id import RequestIds
from .routes import Routes
from .wire import Asked, Wire

READ_S = 60.0
SECURITY = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""On every answer: it is what its type says, and nobody keeps it."""
log = logging.getLogger("portside.http")


class Serving(Protocol):
    """What the doors stand in front of."""

    engine: Engine | None
    wire: Wire
    openapi: dict[str, Any]

    @property
    def fault(self) -> str:
        """Why there is no engine."""
        ...


class HttpApp:
    """The ASGI application over whatever `serving` holds at the moment of a request.

    Args:
        serving: what answers.
        max_body_bytes: larger bodies are refused (413).
        read_s: how long a body may take to arrive.
        guards: asked in order before the body is read, told the end; none cost nothing.
        access: the access log; None: there is none.
    """

    def __init__(self, serving: Serving, max_body_bytes: int = 16 << 20, read_s: float = READ_S,
                 guards: tuple[Guard, ...] = (), access: AccessLog | None = None) -> None:  # fmt: skip
        self._serving, self._guards, self._access = serving, guards, access
        self._reader, self._ids, self._watched = BodyReader(max_body_bytes, read_s), RequestIds(), bool(guards or access)
        self.routes = Routes({
            "/predict": {"POST": self._predict}, "/api/predict": {"POST": self._bare},
            "/livez": {"GET": self._livez}, "/readyz": {"GET": self._readyz},
            "/metrics": {"GET": self._metrics}, "/openapi.json": {"GET": self._openapi},
            "/docs": {"GET": self._docs}, "/": {"GET": self._docs},
        })  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3. Only HTTP is served."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        number = self._ids.of(headers)
        if self._watched:
            await self._guarded(scope, receive, send, headers, number)
        elif (reply := await self._reply(scope, receive, headers)) is not None:
            await _send(send, reply, scope["method"] == "HEAD", (b"x-request-id", number))

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], number: bytes) -> None:
        """As `__call__`, between the guards, and with a line in the log."""
        began, reply, passed = time.monotonic(), None, list[tuple[Guard, Any]]()
        scope[HEAD] = headers
        try:
            reply = self._enter(scope, passed) or await self._reply(scope, receive, headers)
            if reply is not None:
                await _send(send, reply, scope["method"] == "HEAD", (b"x-request-id", number), *scope.get(MORE, ()))
        finally:
            seconds = time.monotonic() - began
            for guard, ticket in reversed(passed):
                guard.leave(ticket, LEFT if reply is None else reply.status, seconds)
            if self._access is not None:
                self._access.note(scope, number, reply, seconds)

    def _enter(self, scope: Scope, passed: list[tuple[Guard, Any]]) -> Reply | None:
        """Ask the guards in order; `passed` gets those that let the request in. The reply of one that refuses."""
        try:
            for guard in self._guards:
                passed.append((guard, guard.enter(scope)))
        except RefusalError as refused:
            return self._refused(refused)
        return None

    async def _reply(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Reply | None:
        """Read, answer, or refuse; None: the client left."""
        try:
            handler = self.routes.find(scope)
            return await handler(await self._reader.read(scope, receive, headers))
        except RefusalError as refused:
            return self._refused(refused)
        except InputError as error:
            return self._refused(RefusalError(422, error))
        except NoAnswerError as error:
            return self._refused(RefusalError(503, error, error.receipt.to_headers()))
        except NotReadyError as error:
            return self._refused(RefusalError(503, error, [(b"retry-after", b"1")]))
        except ConnectionResetError:
            return None
        except Exception:  # ours: recorded here, told to nobody
            log.exception("A request failed inside the service")
            return self._refused(RefusalError(500, PortsideError("The service failed; its log says why")))

    async def _predict(self, incoming: Incoming) -> Reply:
        return await self._answer(incoming, bare=False)

    async def _bare(self, incoming: Incoming) -> Reply:
        """The route of BentoML's client: the columns are the body."""
        return await self._answer(incoming, bare=True)

    async def _answer(self, incoming: Incoming, bare: bool) -> Reply:
        engine = self._serving.engine
        if engine is None:
            raise NotReadyError(self._serving.fault)
        asked = self._asked(incoming, bare)
        answer = await engine.answer(Question(asked.wire, incoming.arrived, asked.entity, asked.event_ms))
        headers = answer.receipt.to_headers()
        return Reply(200, orjson.dumps(self.body(answer, asked), option=orjson.OPT_SERIALIZE_NUMPY), headers=headers)

    def body(self, answer: Answer, asked: Asked) -> dict[str, Any]:
        """The answer as JSON-ready data: outputs, receipt, and flags where there are any."""
        data: dict[str, Any] = {"outputs": self._serving.wire.write(answer.outputs, asked.form), "receipt": answer.receipt.to_dict()}
        return {**data, "flags": [flag._asdict() for flag in answer.flags]} if answer.flags else data

    def _asked(self, incoming: Incoming, bare: bool) -> Asked:
        kind = incoming.headers.get(b"content-type", JSON)
        media = kind.split(b";", 1)[0].strip().lower()
        try:
            if media == b"multipart/form-data" and not bare:
                return self._serving.wire.read_parts(multipart.parse(incoming.body, kind))
            if media == JSON or media.endswith(b"+json"):
                return self._serving.wire.read_json(incoming.body, bare)
        except orjson.JSONDecodeError as error:
            raise RefusalError(400, InputError(f"The body is not JSON: {error}", field="body")) from error
        except FormatError as error:
            raise RefusalError(400, InputError(error.what, field="body", got=error.got, expected=error.expected)) from error
        shown = media[:60].decode("latin-1")
        raise RefusalError(415, InputError("The content type is not one this route takes", field="content-type", got=shown,
                                           expected="application/json or multipart/form-data",
                                           fix="With curl: -H 'Content-Type: application/json' beside -d, or -F FIELD=@FILE."))  # fmt: skip

    async def _livez(self, _: Incoming) -> Reply:
        return Reply(200, b"alive\n", TEXT)

    async def _readyz(self, _: Incoming) -> Reply:
        if self._serving.engine is None:
            raise NotReadyError(self._serving.fault)
        return Reply(200, b"ready\n", TEXT)

    async def _metrics(self, _: Incoming) -> Reply:
        engine = self._serving.engine
        return Reply(200, (engine.metrics.text() if engine else "").encode(), PROMETHEUS)

    async def _openapi(self, _: Incoming) -> Reply:
        return Reply(200, orjson.dumps(self._serving.openapi))

    async def _docs(self, _: Incoming) -> Reply:
        return Reply(200, PAGE, b"text/html; charset=utf-8", PAGE_HEADERS)

    def _refused(self, refused: RefusalError) -> Reply:
        if self._serving.engine is not None:
            self._serving.engine.metrics.refuse(refused.status)
        body = orjson.dumps(refused.error.to_dict(), default=str)
        return Reply(refused.status, body, headers=refused.headers, error=type(refused.error).__name__)


async def _send(send: Send, reply: Reply, head: bool, *more: tuple[bytes, bytes]) -> None:
    size = b"%d" % len(reply.body)
    headers: Headers = [(b"content-type", reply.content_type), (b"content-length", size), *SECURITY, *reply.headers, *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})
