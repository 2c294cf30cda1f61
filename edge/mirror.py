"""Where releases come from, read with bounds: `https://`, `http://`, or `file://` for a stick. Nothing that comes is believed here.

A mirror may be anybody's. What it can do at worst is to waste the bounded time of an attempt: all that it sends is compared
with what was signed, by those who call this.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote, urljoin, urlsplit

from ..sdk.core.errors import InputError
from .bounded import Bounds, Watch, WatchedSocket
from .stopped import Reason, StopError, stop

PIECE = 64 << 10
REDIRECTS = 3
_REUSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class HttpError(StopError):
    """The server answered with an error; `status` says which."""

    def __init__(self, status: int, url: str) -> None:
        self.status = status
        super().__init__(stop(Reason.OFFLINE, f"The server answers {status} for {url}.").stopped)


@dataclass(frozen=True)
class Answer:
    """What is coming.

    Attributes:
        offset: of the first byte: what was asked for, or 0 where the server does not know ranges.
        pieces: the bytes; to be closed where they are not read to their end.
    """

    offset: int
    pieces: Generator[bytes]


class Mirror:
    """A repository's address and one connection to it. For one thread.

    Args:
        url: of the repository's folder.
        bounds: how patient the device is; they begin when this is made.
        cancelled: asked before each read; says that the attempt shall end.
        ca: a file of certificates to trust instead of the system's.
    """

    def __init__(
        self, url: str, bounds: Bounds | None = None, cancelled: Callable[[], bool] = lambda: False, ca: str | None = None
    ) -> None:
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https", "file")
            or parts.query
            or parts.username
            or (parts.scheme != "file" and not parts.hostname)
        ):
            raise InputError(
                "This is no address of a repository", field="url", got=url[:200], expected="https://host/folder or file:///folder"
            )
        self.url = url.rstrip("/") + "/"
        self.bounds = bounds or Bounds()
        self._cancelled, self._ca = cancelled, ca
        self._ends = time.monotonic() + self.bounds.total_s
        self._line: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None

    def read(self, path: str, most: int) -> bytes:
        """A small document. Raises StopError."""
        with closing(self.open(path, most).pieces) as pieces:
            return b"".join(pieces)

    def open(self, path: str, most: int, start: int = 0) -> Answer:
        """Begin to read.

        Args:
            path: below the repository's folder, as it is listed (not quoted), or a whole URL below it.
            most: bytes from `start` on, at most.
            start: how many bytes are here already.

        Raises StopError (HttpError for an answer that is one).
        """
        url = path if path.startswith(self.url) else self.url + quote(path)
        watch = Watch(self.bounds, most + start, self._ends, self._cancelled)
        try:
            if url.startswith("file:"):
                return Answer(start, _limited(_from_file(url, start, watch), most))
            return self._ask(url, most, start, watch)
        except StopError:
            self.close()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise stop(Reason.OFFLINE, f"{url} cannot be read: {error or type(error).__name__}.") from error

    def close(self) -> None:
        """Let go of the connection; the next call makes another."""
        if self._line is not None:
            self._line.close()
        if self._socket is not None:  # whatever still reads from it
            self._socket.close()
        self._line = self._socket = None

    def __enter__(self) -> Mirror:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _ask(self, url: str, most: int, start: int, watch: Watch) -> Answer:
        for _ in range(REDIRECTS + 1):
            response = self._send(url, start, watch)
            if response.status not in (301, 302, 303, 307, 308):
                return self._taken(response, url, most, start)
            there = urljoin(url, response.headers.get("Location", ""))
            response.close()
            self.close()
            if urlsplit(there)[:2] != urlsplit(self.url)[:2]:
                raise stop(
                    Reason.OFFLINE, f"The server sends to another host, {there[:200]}.", "Name that host in the settings, if it is yours."
                )
            url = there
        raise stop(Reason.OFFLINE, f"The server sends on and on from {url}.")

    def _send(self, url: str, start: int, watch: Watch) -> http.client.HTTPResponse:
        """The head of an answer. A connection that the server closed while it rested is made once more."""
        parts = urlsplit(url)
        head = {"Accept-Encoding": "identity", "User-Agent": "portside-edge", **({"Range": f"bytes={start}-"} if start else {})}
        while True:
            if self._line is not None and cast("object", self._line.sock) is None:  # the server keeps no connections
                self.close()
            rested = self._line is not None
            line = self._line = self._line or self._connect(watch)
            cast("WatchedSocket", line.sock).watch = watch
            try:
                line.request("GET", parts.path, headers=head)
                return line.getresponse()
            except _REUSED:
                self.close()
                if not rested:
                    raise

    def _taken(self, response: http.client.HTTPResponse, url: str, most: int, start: int) -> Answer:
        offset = start if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-") else 0
        if response.status not in (200, 206) or (response.status == 206 and offset != start):
            response.close()
            self.close()
            if response.status == 416 and start:  # what is here is longer than what is there: begin again
                return self.open(url, most + start)
            raise HttpError(response.status, url)
        most += start - offset
        said = response.headers.get("Content-Length", "")
        if said.isdigit() and int(said) > most:
            response.close()
            raise stop(Reason.ENDLESS, f"{url} has {said} bytes where {most} are expected.")
        return Answer(offset, self._pieces(response, url, most))

    def _pieces(self, response: http.client.HTTPResponse, url: str, most: int) -> Generator[bytes]:
        whole = False
        try:
            yield from _limited(iter(lambda: response.read1(PIECE), b""), most)
            whole = response.length in (None, 0)
            if not whole:
                raise stop(Reason.OFFLINE, f"The connection ended before {url} did.")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise stop(Reason.OFFLINE, f"{url} cannot be read: {error or type(error).__name__}.") from error
        finally:
            if not whole:
                self.close()
            response.close()

    def _connect(self, watch: Watch) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        within = min(self.bounds.connect_s, watch.wait_s())
        try:
            raw = socket.create_connection((host, parts.port or (443 if secure else 80)), timeout=within)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                raw = ssl.create_default_context(cafile=self._ca).wrap_socket(raw, server_hostname=host)
        except TimeoutError as error:
            raise stop(Reason.SLOW, f"No connection to {host} within {within:.0f} s.") from error
        self._socket = raw
        line = http.client.HTTPConnection(host, parts.port)
        line.sock = cast("socket.socket", WatchedSocket(raw))
        line.auto_open = 0
        return line


def _from_file(url: str, start: int, watch: Watch) -> Generator[bytes]:
    path = unquote(urlsplit(url).path)
    if ".." in Path(path).parts:
        raise stop(Reason.OFFLINE, f"{path} leaves the repository.")
    try:
        with open(path, "rb", opener=_not_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise stop(Reason.OFFLINE, f"{path} is no plain file.")
            file.seek(start)
            while watch.wait_s() and (piece := file.read(PIECE)):
                yield piece
    except FileNotFoundError as error:
        raise HttpError(404, url) from error
    except OSError as error:
        raise stop(Reason.OFFLINE, f"{path} cannot be read: {error.strerror or error}.") from error


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _limited(pieces: Generator[bytes] | object, most: int) -> Generator[bytes]:
    """No byte more than `most` is handed on."""
    came = 0
    for piece in cast("Generator[bytes]", pieces):
        came += len(piece)
        if came > most:
            raise stop(Reason.ENDLESS, f"More than {most} bytes are coming, and there are no more.")
        yield piece
