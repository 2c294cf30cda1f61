"""A network that can be unplugged: what a device reaches goes through here, and while it is unplugged nothing does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Cable:
    """Connections to `port` of this machine, over a port of its own.

    Attributes:
        port: what the device is given.
        offline_s: how long it was unplugged so far, without the present time.
    """

    def __init__(self, port: int) -> None:
        self._to, self._plugged, self._open = port, True, set[socket.socket]()
        self._lock, self._listening = threading.Lock(), socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.offline_s, self._since = 0.0, 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def plugged(self) -> bool:
        """Whether bytes pass."""
        return self._plugged

    def unplug(self) -> None:
        """Cut what is open, refuse what comes."""
        with self._lock:
            self._plugged, self._since = False, time.monotonic()
            held, self._open = self._open, set()
        for connection in held:
            _cut(connection)

    def plug(self) -> None:
        """Bytes pass again."""
        with self._lock:
            self.offline_s += 0.0 if self._plugged else time.monotonic() - self._since
            self._plugged = True

    def close(self) -> None:
        """For good."""
        self.plug()
        self.unplug()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(here,), daemon=True).start()

    def _carry(self, here: socket.socket) -> None:
        try:
            there = socket.create_connection(("127.0.0.1", self._to), 5)
        except OSError:
            _cut(here)
            return
        with self._lock:
            if self._plugged:
                self._open |= {here, there}
        if here not in self._open:
            _cut(here)
            _cut(there)
            return
        back = threading.Thread(target=_pass, args=(there, here), daemon=True)
        back.start()
        _pass(here, there)
        back.join()
        with self._lock:
            self._open -= {here, there}
        _cut(here)
        _cut(there)


def _pass(source: socket.socket, target: socket.socket) -> None:
    """Bytes one way until there are no more."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


class _Web(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A caller whose cable was pulled is no error."""


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """A plain web server of a folder, as any bucket is one; its port."""
    server = _Web(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
