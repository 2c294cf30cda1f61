"""The way home, done: the standard library speaks HTTP; a thread sends what waits and forgets what is acknowledged."""

from __future__ import annotations

import contextlib
import http.client
import logging
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from ..sdk.core.errors import InputError
from .outbox import BATCH_BYTES, BATCH_ENTRIES, Held, Outbox
from .upload import BASE_S, CAP_S, Answered, Sender, halves, packed, understood, wait_s

REPLY_BYTES = 1 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
log = logging.getLogger("portside.upload")


@dataclass(frozen=True)
class UploadSettings:
    """How entries go home.

    Attributes:
        url: of the server: https, or http on this machine alone.
        key: of this device.
        every_s: how often is looked for what waits. hello_s: an empty batch is sent so often: it says that the device lives.
        batch_bytes, batch_entries: the most of one batch, before it is compressed.
        connect_s, reply_s: how long is waited for a connection, and for a whole exchange.
        base_s, cap_s: of the waits between failures. seed: of their jitter; None: random.
        ca: a file of certificates to trust instead of the system's.
    """

    url: str
    key: str = field(repr=False)
    every_s: float = 10.0
    hello_s: float = 300.0
    batch_bytes: int = BATCH_BYTES
    batch_entries: int = BATCH_ENTRIES
    connect_s: float = 10.0
    reply_s: float = 60.0
    base_s: float = BASE_S
    cap_s: float = CAP_S
    seed: int | None = None
    ca: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise InputError("This is no address to upload to", field="url", got=self.url[:100], expected="https://host[:port][/path]")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise InputError("A device's key does not go over an open line", field="url", got=self.url[:100], expected="https://...")


class LineError(Exception):
    """Nothing came back, or not all of it."""


class Line:
    """One connection at a time to the server, kept open between batches. Follows no redirect: a key goes to one address alone."""

    def __init__(self, settings: UploadSettings) -> None:
        self._settings, self._parts = settings, urlsplit(settings.url)
        self._context = ssl.create_default_context(cafile=settings.ca) if self._parts.scheme == "https" else None
        self._open: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in lower case, body). Raises LineError."""
        kept = self._open is not None
        try:
            return self._exchange(path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if kept and isinstance(error, ConnectionError):  # the server has hung up while nothing was said
                return self.post(path, body)
            raise LineError(f"{type(error).__name__}: {error}"[:200]) from error

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _exchange(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        settings, connection = self._settings, self._connected()
        sock = connection.sock
        alarm = threading.Timer(settings.reply_s, _hang_up, (sock,))  # a byte a second must not hold the line for ever
        alarm.daemon = True
        alarm.start()
        try:
            headers = {"authorization": f"Bearer {settings.key}", "content-type": "application/json", "content-encoding": "gzip"}
            connection.request("POST", self._parts.path.rstrip("/") + path, body, headers)
            reply = connection.getresponse()
            read = reply.read(REPLY_BYTES + 1)
        finally:
            alarm.cancel()
        if len(read) > REPLY_BYTES:
            raise http.client.HTTPException("the reply is too long")
        if reply.length or reply.will_close:  # what is left of it would be taken for the next reply
            self.close()
        if reply.length:
            raise http.client.IncompleteRead(read, reply.length)
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, read

    def _connected(self) -> http.client.HTTPConnection:
        if self._open is None:
            host, port, patience = str(self._parts.hostname), self._parts.port, self._settings.connect_s
            self._open = (http.client.HTTPConnection(host, port, timeout=patience) if self._context is None
                          else http.client.HTTPSConnection(host, port, timeout=patience, context=self._context))  # fmt: skip
            self._open.connect()
        return self._open


class Uploader:
    """Sends one outbox home.

    Args:
        outbox: of this device.
        device: its id.
        versions: what runs there, asked before each batch.
        on_desired: told the release that the server wants here, whenever it says one.

    Attributes:
        sent: entries acknowledged. failures: in a row; fault: the last one, "": none.
        heard_ms: when the server acknowledged last, Unix milliseconds by this device's clock, for people; None: never.
    """

    def __init__(self, outbox: Outbox, device: str, settings: UploadSettings, versions: Callable[[], Mapping[str, str]] = dict,
                 on_desired: Callable[[str], None] | None = None) -> None:  # fmt: skip
        self.outbox, self.device, self.settings = outbox, device, settings
        self.sent, self.failures, self.fault = 0, 0, ""
        self.heard_ms: int | None = None
        self._versions, self._desired, self._line = versions, on_desired, Line(settings)
        self._seed = secrets.randbits(32) if settings.seed is None else settings.seed
        self._path = f"/v1/devices/{quote(device, safe='')}/batches"
        self._asked_s = 0.0
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send from a thread of its own from now on."""
        self._thread = threading.Thread(target=self._work, name="portside-upload", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """End; what is on its way may arrive, and is sent again later."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(seconds)
        self._line.close()

    def turn(self, hello: bool = False) -> bool:
        """Send all that waits; False where that ended early. hello: send an empty batch where nothing does. Never raises."""
        try:
            while not self._closed.is_set():
                entries = self.outbox.batch(self.settings.batch_bytes, self.settings.batch_entries)
                if not entries and not hello:
                    break
                if not self._deliver(entries):
                    self.failures += 1
                    return False
                self.failures, self.fault, hello = 0, "", False
        except Exception as error:  # the thread outlives a full disk and whatever a callback does; both are tried again
            log.warning("Nothing could be sent: %s", error)
            self.fault, self.failures = f"{type(error).__name__}: {error}", self.failures + 1
            return False
        return True

    def _deliver(self, entries: Sequence[Held]) -> bool:
        """Send a batch, by halves where the server finds fault with it; False: later."""
        answered = self._ask(entries)
        if answered.means == "held":
            return self._heed(answered, entries)
        self.fault = answered.why
        if answered.means != "poison" or not entries:
            self._asked_s = answered.wait_s
            return False
        if len(entries) == 1:
            log.error("Entry %d is refused and set aside: %s", entries[0].sequence, answered.why)
            self.outbox.set_aside(entries[0].sequence, "refused")
            return True
        return all(self._deliver(half) for half in halves(entries))

    def _heed(self, answered: Answered, entries: Sequence[Held]) -> bool:
        """Forget what is held; False where an acknowledgement acknowledges nothing, for the same would be sent for ever."""
        self.heard_ms = time.time_ns() // 1_000_000
        self.sent += self.outbox.settle(answered.held)
        for sequence, why in (answered.refused or {}).items():
            log.error("Entry %d is refused and set aside: %s", sequence, why)
            self.outbox.set_aside(sequence, "refused")
        if answered.conflicts:
            self.outbox.renumber(answered.conflicts, answered.highest)
        if answered.desired is not None and self._desired is not None:
            self._desired(answered.desired)
        if entries and not (answered.held or answered.refused or answered.conflicts):
            self.fault = "the server acknowledges nothing of what it was sent"
            return False
        return True

    def _ask(self, entries: Sequence[Held]) -> Answered:
        sender = Sender(self.device, self.outbox.id, self._versions())
        try:
            status, headers, body = self._line.post(self._path, packed(sender, self.outbox.dropped(), entries))
        except LineError as error:
            return Answered("later", why=str(error))
        return understood(status, headers, body, entries, sender)

    def _work(self) -> None:
        """Turns, and waits in between; greets when nothing was sent for a while."""
        silent_s = self.settings.hello_s
        while not self._closed.is_set():
            before = self.sent
            well = self.turn(hello=silent_s >= self.settings.hello_s)
            pause = self.settings.every_s if well else max(self._pause(), self._asked_s)
            self._asked_s = 0.0
            silent_s = pause if well and (self.sent > before or silent_s >= self.settings.hello_s) else silent_s + pause
            self._closed.wait(pause)

    def _pause(self) -> float:
        return wait_s(self.failures, self._seed, self.settings.base_s, self.settings.cap_s)


def _hang_up(sock: socket.socket) -> None:
    """End an exchange that takes too long, from another thread."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
