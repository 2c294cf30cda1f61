"""The HTTP doors as a raw ASGI application: typed JSON, uploads, health, metrics, OpenAPI. Every refusal has one format.

A refusal is `PortsideError.to_dict()` as JSON: {"error", "what", "field", "row", "got", "expected", "fix"}. Bad input is
400 (cannot be parsed), 404, 405, 408, 413, 415 or 422 (parsed, and refused); 503 means that nothing could answer. A fault of
our own is a 500 without details; they are in the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Protocol

import orjson

from ...sdk.core.errors import FormatError, InputError, PortsideError
from ..answering.answers import Answer, NoAnswerError, NotReadyError, Question
from ..answering.engine import Engine
from . import multipart
from .asgi import JSON, LEFT, MORE, PROMETHEUS, TEXT, Guard, Headers, Incoming, Receive, RefusalError, Reply, Scope, Send
from .docs_page import PAGE
from .routes import Routes
from .wire import Asked, Wire

READ_S = 60.0
"""How long a body may take to arrive: a client that sends a byte a second must not hold a connection for ever."""
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
    """

    def __init__(self, serving: Serving, max_body_bytes: int = 16 << 20, read_s: float = READ_S, guards: tuple[Guard, ...] = ()) -> None:
        self._serving, self._max_body, self._read_s, self._guards = serving, max_body_bytes, read_s, guards
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
        if self._guards:
            await self._guarded(scope, receive, send)
        elif (reply := await self._reply(scope, receive)) is not None:
            await _send(send, reply, scope["method"] == "HEAD")

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As `__call__`, between the guards."""
        began, status, passed = time.monotonic(), LEFT, list[tuple[Guard, Any]]()
        try:
            reply = self._enter(scope, passed) or await self._reply(scope, receive)
            if reply is not None:
                status = reply.status
                await _send(send, reply, scope["method"] == "HEAD", scope.get(MORE, ()))
        finally:
            seconds = time.monotonic() - began
            for guard, ticket in reversed(passed):
                guard.leave(ticket, status, seconds)

    def _enter(self, scope: Scope, passed: list[tuple[Guard, Any]]) -> Reply | None:
        """Ask the guards in order; `passed` gets those that let the request in. The reply of one that refuses."""
        try:
            for guard in self._guards:
                passed.append((guard, guard.enter(scope)))
        except RefusalError as refused:
            return self._refused(refused)
        return None

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        """Read, answer, or refuse; None: the client left."""
        try:
            handler = self.routes.find(scope)
            return await handler(await self._read(scope, receive))
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

    async def _read(self, scope: Scope, receive: Receive) -> Incoming:
        """The whole body, within the limits of size and time."""
        try:
            async with asyncio.timeout(self._read_s):
                return await self._body(scope, receive)
        except TimeoutError as error:
            late = InputError("The body did not arrive in time", field="body", expected=f"all of it within {self._read_s:g} s")
            raise RefusalError(408, late, [(b"connection", b"close")]) from error

    async def _body(self, scope: Scope, receive: Receive) -> Incoming:
        arrived = time.monotonic()
        headers = {name.lower(): value for name, value in scope["headers"]}
        said = headers.get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._max_body:
            raise RefusalError(413, self._too_large(int(said)))
        chunks, size = list[bytes](), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body:
                raise RefusalError(413, self._too_large(size))
            if not message.get("more_body", False):
                break
        if len(chunks) > 1:
            arrived = time.monotonic()  # a slow upload is not our delay
        return Incoming(chunks[0] if len(chunks) == 1 else b"".join(chunks), headers, arrived)

    def _too_large(self, size: int) -> InputError:
        return InputError("The body is too large", field="body", got=f"{size} bytes", expected=f"at most {self._max_body} bytes")

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
        return Reply(200, PAGE, b"text/html; charset=utf-8")

    def _refused(self, refused: RefusalError) -> Reply:
        if self._serving.engine is not None:
            self._serving.engine.metrics.refuse(refused.status)
        return Reply(refused.status, orjson.dumps(refused.error.to_dict(), default=str), headers=refused.headers)


async def _send(send: Send, reply: Reply, head: bool, more: Headers | tuple[()] = ()) -> None:
    headers: Headers = [
        (b"content-type", reply.content_type), (b"content-length", str(len(reply.body)).encode()),
        (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"), *reply.headers, *more,
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})
