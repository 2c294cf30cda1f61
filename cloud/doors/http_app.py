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
from functools import partial
from typing import Any

import orjson

from ...sdk.core.errors import InputError, PortsideError
from ..answering.answers import NoAnswerError, NotReadyError, OverloadedError
from ..answering.engine import Engine
from . import oip, sending
from .access_log import AccessLog
from .asgi import ANSWER, HEAD, LEFT, MORE, Guard, Receive, RefusalError, Reply, Scope, Send
from .body import BodyReader
from .hosts import Hosts, Serving
from .pages import table
from .request_id import RequestIds
from .sending import Give

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

    Attributes:
        direct: requests may come here around the application in front of this one.
    """

    def __init__(self, serving: Serving | Hosts, max_body_bytes: int | None = None, read_s: float = READ_S,
                 guards: tuple[Guard, ...] = (), access: AccessLog | None = None) -> None:  # fmt: skip
        self._hosts = hosts = serving if isinstance(serving, Hosts) else Hosts((serving,))
        self._readers = {id(host): BodyReader(max_body_bytes or host.max_body_bytes, read_s) for host in hosts.all}
        self._reader = self._readers[id(hosts.first)]
        self._guards, self._access, self._ids = guards, access, RequestIds()
        self.direct = True
        self.routes = table(hosts)

    @property
    def prompt(self) -> bool:
        """Most answers are there without anything that has to be waited for: the only deployment's model runs inline."""
        engine = self._hosts.first.engine
        return not self._hosts.several and isinstance(engine, Engine) and engine.prompt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3. Only HTTP is served."""
        if scope["type"] == "http":
            scope[HEAD] = dict(scope["headers"])
            await self.answer(scope, receive, partial(sending.send, send, scope["method"] == "HEAD"))

    async def answer(self, scope: Scope, body: Receive | bytes, give: Give) -> None:
        """Answer a request between the guards, and write it into the log.

        Args:
            scope: as ASGI has it, and the headers as a mapping under HEAD.
            body: the whole of it, or where it comes from.
            give: is handed the reply; not called where the client left.
        """
        began, reply = time.monotonic(), None
        number = self._ids.of(scope[HEAD])
        passed: list[tuple[Guard, Any]] = []
        try:
            reply = self._enter(scope, passed) or await self._reply(scope, body)
            if reply is not None:
                scope[ANSWER] = reply.answer
                await give(reply, (b"x-request-id", number), *scope.get(MORE, ()))
        finally:
            seconds = time.monotonic() - began
            for guard, ticket in reversed(passed):
                guard.leave(ticket, LEFT if reply is None else reply.status, seconds)
            if self._access is not None:
                self._access.note(scope, number, reply, seconds)

    async def in_front_of(self, inner: Callable[..., Awaitable[None]], scope: Scope, receive: Receive, send: Send) -> None:
        """Let another application answer a request that the guards let in."""
        passed: list[tuple[Guard, Any]] = []
        scope[HEAD], began = dict(scope["headers"]), time.monotonic()
        reply = self._enter(scope, passed)
        try:
            await (inner(scope, receive, send) if reply is None else sending.send(send, scope["method"] == "HEAD", reply))
        finally:
            for guard, ticket in reversed(passed):
                guard.leave(ticket, 200 if reply is None else reply.status, time.monotonic() - began)

    def _enter(self, scope: Scope, passed: list[tuple[Guard, Any]]) -> Reply | None:
        """Ask the guards in order; `passed` gets those that let the request in. The reply of one that refuses."""
        try:
            for guard in self._guards:
                passed.append((guard, guard.enter(scope)))
        except RefusalError as refused:
            return self._refused(scope, refused)
        return None

    async def _reply(self, scope: Scope, body: Receive | bytes) -> Reply | None:
        """Read, answer, or refuse; None: the client left."""
        try:
            handler = self.routes.find(scope)
            reader = self._readers[id(self._hosts.at(scope["path"]))] if self._hosts.several else self._reader
            if isinstance(body, bytes):
                return await handler(reader.at_hand(scope, body, scope[HEAD]))
            return await handler(await reader.read(scope, body, scope[HEAD]))
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
            engine.metrics.refuse(refused.status, isinstance(error, NoAnswerError) and bool(error.receipt.record))
        body = oip.in_its_form(error) if path.startswith(oip.ROOT) else error.to_dict()
        return Reply(refused.status, orjson.dumps(body, default=str), headers=refused.headers, error=type(error).__name__)
