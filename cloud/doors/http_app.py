"""The HTTP doors as a raw ASGI application: a table of routes, guards in front of it, and one format of refusals.

A refusal is `PortsideError.to_dict()` as JSON: {"error", "what", "field", "row", "got", "expected", "fix"}; below /v2 its
`error` is the sentence that the Open Inference Protocol wants, see oip.py. Bad input is
400 (cannot be parsed), 404, 405, 408, 413, 415 or 422 (parsed, and refused); 429 that the server or every
model is busy; 503 that nothing could answer. A fault of our own is a 500 without details; they are in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from ...sdk.core.errors import InputError, PortsideError
from ..answering.answers import NoAnswerError, NotReadyError, OverloadedError
from . import oip
from .access_log import AccessLog
from .asgi import ANSWER, HEAD, JOIN_BYTES, LEFT, MORE, OURS, SECURITY, Guard, Headers, Receive, RefusalError, Reply, Scope, Send
from .body import BodyReader
from .hosts import Hosts, Serving
from .pages import table
from .request_id import RequestIds

READ_S = 60.0
log = logging.getLogger("portside.http")


class HttpApp:
    """The ASGI application over whatever its deployments hold at the moment of a request.

    Args:
        serving: what answers: one deployment, or several.
        max_body_bytes: larger bodies are refused (413); None: as each deployment says.
        read_s: how long a body may take to arrive.
        guards: asked in order before the body is read, told the end; none cost nothing.
        access: the access log; None: there is none.
    """

    def __init__(self, serving: Serving | Hosts, max_body_bytes: int | None = None, read_s: float = READ_S,
                 guards: tuple[Guard, ...] = (), access: AccessLog | None = None) -> None:  # fmt: skip
        self._hosts = hosts = serving if isinstance(serving, Hosts) else Hosts((serving,))
        self._readers = {id(host): BodyReader(max_body_bytes or host.max_body_bytes, read_s) for host in hosts.all}
        self._reader = self._readers[id(hosts.first)]
        self._guards, self._access, self._ids = guards, access, RequestIds()
        self._watched = bool(guards) or (access is not None and access.notes_answers)
        self.routes = table(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3. Only HTTP is served."""
        if scope["type"] != "http":
            return
        headers, began = dict(scope["headers"]), time.monotonic()
        number = self._ids.of(headers)
        if self._watched:
            await self._guarded(scope, receive, send, headers, number)
            return
        reply = await self._reply(scope, receive, headers)
        if reply is not None:
            await _send(send, reply, scope["method"] == "HEAD", (b"x-request-id", number))
        if self._access is not None and (reply is None or reply.status >= 400):
            self._access.note(scope, number, reply, time.monotonic() - began)

    async def in_front_of(self, inner: Callable[..., Awaitable[None]], scope: Scope, receive: Receive, send: Send) -> None:
        """Let another application answer a request that the guards let in."""
        passed: list[tuple[Guard, Any]] = []
        scope[HEAD], began = dict(scope["headers"]), time.monotonic()
        reply = self._enter(scope, passed)
        try:
            await (inner(scope, receive, send) if reply is None else _send(send, reply, scope["method"] == "HEAD"))
        finally:
            for guard, ticket in reversed(passed):
                guard.leave(ticket, 200 if reply is None else reply.status, time.monotonic() - began)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], number: bytes) -> None:
        """As `__call__`, between the guards, and with a line in the log."""
        began, reply, scope[HEAD] = time.monotonic(), None, headers
        passed: list[tuple[Guard, Any]] = []
        try:
            reply = self._enter(scope, passed) or await self._reply(scope, receive, headers)
            if reply is not None:
                scope[ANSWER] = reply.answer
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
            return self._refused(scope, refused)
        return None

    async def _reply(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Reply | None:
        """Read, answer, or refuse; None: the client left."""
        try:
            handler = self.routes.find(scope)
            reader = self._readers[id(self._hosts.at(scope["path"]))] if self._hosts.several else self._reader
            return await handler(await reader.read(scope, receive, headers))
        except RefusalError as refused:
            return self._refused(scope, refused)
        except InputError as error:
            return self._refused(scope, RefusalError(422, error))
        except OverloadedError as error:
            wait = (b"retry-after", b"%d" % error.retry_after_s)
            return self._refused(scope, RefusalError(429, error, (wait, *error.receipt.to_headers())))
        except NoAnswerError as error:
            return self._refused(scope, RefusalError(503, error, error.receipt.to_headers()))
        except NotReadyError as error:
            return self._refused(scope, RefusalError(503, error, [(b"retry-after", b"1")]))
        except ConnectionResetError:
            return None
        except Exception:  # ours: recorded here, told to nobody
            log.exception("A request failed inside the service")
            return self._refused(scope, RefusalError(500, PortsideError("The service failed; its log says why")))

    def _refused(self, scope: Scope, refused: RefusalError) -> Reply:
        path, error = scope["path"], refused.error
        if (engine := self._hosts.at(path).engine) is not None:
            engine.metrics.refuse(refused.status)
        body = oip.in_its_form(error) if path.startswith(oip.ROOT) else error.to_dict()
        return Reply(refused.status, orjson.dumps(body, default=str), headers=refused.headers, error=type(error).__name__)


async def _send(send: Send, reply: Reply, head: bool, *more: tuple[bytes, bytes]) -> None:
    size = b"%d" % (len(reply.body) + sum(map(len, reply.more)) if reply.more else len(reply.body))
    headers: Headers = [(b"content-type", reply.content_type), (b"content-length", size), *SECURITY, *reply.headers, *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers, OURS: True})
    if reply.more and not head:
        await _send_parts(send, reply)
    else:
        await send({"type": "http.response.body", "body": b"" if head else reply.body})


async def _send_parts(send: Send, reply: Reply) -> None:
    """A body in parts: small ones are joined, large ones go as they are, so that no tensor is copied."""
    small, parts = bytearray(reply.body), list[bytes | bytearray | memoryview]()
    for part in reply.more:
        if len(part) < JOIN_BYTES:
            small += part
        else:
            parts += [small, part] if small else [part]
            small = bytearray()
    parts = [*parts, small] if small else parts
    for place, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": place + 1 < len(parts)})
