"""The cloud as one entry of a device's chain: a server with the same typed route, asked once, within a bounded time, and believed no more
than a model.

The call runs in a lane of its own (`runtimes/isolation.py`): whoever waits goes on when its time is over, whatever name servers and
sockets do, and giving it up hangs up.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np

from ..runtimes.base import Cancel, SessionInfo
from ..sdk.core.errors import EngineError, FormatError, InputError
from ..sdk.core.records import plain
from ..sdk.core.signature import Array, Signature
from .told import OutputDoor
from .upload_http import LOOPBACK

MAX_ANSWER_BYTES = 16 << 20
SOCKET_S = 60.0
"""A call that was given up and cannot be hung up ends by itself after this long without a byte."""
ROWS = "\0rows"
"""Beside the wire fields: how many rows the caller waits for."""


class CloudSession:
    """What a lane runs: `run` posts wire inputs. Follows no redirect and no proxy; nothing is tried twice.

    Raises FormatError where a key would go over an open line.
    """

    def __init__(self, url: str, key: str | None, signature: Signature) -> None:
        self.url, self._key, self._parts = url, key, urlsplit(url)
        if key is not None and self._parts.scheme == "http" and self._parts.hostname not in LOOPBACK:
            raise FormatError("A key does not go over an open line", got=url[:100], expected="https://...")
        self.info = SessionInfo(signature, "endpoint", "", True, True, True)
        self._door = OutputDoor(signature)
        self._context = ssl.create_default_context() if self._parts.scheme == "https" else None

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """The outputs for the wire inputs. Raises EngineError for everything that is not an answer."""
        fields = dict(inputs)
        rows = int(fields.pop(ROWS))
        body = json.dumps({"inputs": {name: _plain(value) for name, value in fields.items()}}, allow_nan=False).encode()
        connection = self._connection()
        hang_up = _HangUp(connection)
        if cancel is not None:
            cancel.on_cancel(hang_up)
        try:
            said = self._exchange(connection, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EngineError(f"The endpoint cannot be asked: {error}", got=self.url) from error
        finally:
            if cancel is not None:
                cancel.forget(hang_up)
            connection.close()
        if not isinstance(said, Mapping) or not isinstance(said.get("outputs"), Mapping):
            raise EngineError("The endpoint's answer holds no outputs", got=self.url)
        return self._door.read(cast("Mapping[str, Any]", said["outputs"]), rows, self.url)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=SOCKET_S)
        return http.client.HTTPSConnection(host, port, timeout=SOCKET_S, context=self._context)

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes) -> Any:
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {self._key}"} if self._key else {})}
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        connection.request("POST", path, body, headers)
        reply = connection.getresponse()
        content = reply.read(MAX_ANSWER_BYTES + 1)
        if reply.status != 200 or len(content) > MAX_ANSWER_BYTES:
            raise EngineError("The endpoint did not answer with 200", got=reply.status)
        return json.loads(content)


class _HangUp:
    """Ends an exchange from another thread."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def __call__(self) -> None:
        sock = cast("socket.socket | None", self._connection.sock)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _plain(value: Any) -> Any:
    """A wire value as the typed route takes it: arrays as nested lists, bytes as base64. Raises InputError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, np.ndarray):
        return plain(cast("Array", value))
    if isinstance(value, np.generic):
        return plain(np.asarray(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise InputError("A wire value cannot be sent to an endpoint", got=type(value).__name__)
