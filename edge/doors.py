"""The local doors of a device: HTTP on loopback and a Unix socket, with nothing but the standard library.

A thread that accepts, and one for each connection, of which there are few: the shortest way from a request to the model, and no
event loop to load. `POST /predict` takes and gives what the cloud's does (sdk/core/wire.py). Everything a caller can take of the device is
bounded by `DoorSettings`; what is beyond a bound is refused with a reason.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from contextlib import suppress

from ..sdk.core.errors import EngineError, InputError
from . import door_sockets
from .answering import Answering
from .door_line import Gone, Line
from .door_messages import Head, Refused, Request, head_of, refusal_reply
from .door_room import Room, Seat
from .door_routes import DoorRoutes
from .door_settings import DoorSettings, host_fits
from .watchdog import Patience, Pulse

LOOP, TURN_S = "doors", 1.0
"""Name of the accepting loop in the pulse, and how often it turns where nobody comes."""
log = logging.getLogger("portside.edge.doors")


class Doors:
    """The doors of one agent; `with` opens and closes them.

    Args:
        answering: who answers, from any thread.
        settings: where, and how much.
        pulse: what the watchdog looks at; one shared with the agent's other loops, or its own.
        patience: when /healthz says that it is wedged.
    """

    def __init__(self, answering: Answering, settings: DoorSettings | None = None, pulse: Pulse | None = None,
                 patience: Patience | None = None) -> None:  # fmt: skip
        self.settings, self.pulse = settings or DoorSettings(), pulse or Pulse()
        settings = self.settings
        self.routes = DoorRoutes(answering, settings, self.pulse, patience or Patience())
        self.routes.gauges = lambda: {"connections": float(self._room.taken)}
        self._room, self._names = Room(settings.max_connections), frozenset(name.lower() for name in settings.names)
        self._sockets: list[socket.socket] = []
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._thread: threading.Thread | None = None
        self._inode = 0

    @property
    def port(self) -> int | None:
        """Of HTTP; None: there is none."""
        tcp = [one for one in self._sockets if one.family != socket.AF_UNIX]
        return tcp[0].getsockname()[1] if tcp else None

    def open(self) -> None:
        """Listen, and answer from now on. Raises FormatError where that is not possible."""
        self._sockets = door_sockets.listening(self.settings)
        if (path := self.settings.socket_path()) is not None:
            self._inode = path.lstat().st_ino
        self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, args=(self._wake[1],), name="doors", daemon=True)
        self._thread.start()

    def close(self, grace_s: float = 5.0) -> None:
        """Take no more, end what is being answered (up to `grace_s`), and hang up."""
        if self._thread is None or self._wake is None:
            return
        self._wake[0].send(b"!")
        self._thread.join()
        for one in (*self._sockets, *self._wake):
            one.close()
        self._room.close(grace_s)
        if (path := self.settings.socket_path()) is not None:
            door_sockets.forget(path, self._inode)
        self._thread = None

    def __enter__(self) -> Doors:
        """Open."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _accept(self, wake: socket.socket) -> None:
        """The loop: until it is woken."""
        with selectors.DefaultSelector() as ready:
            for one in self._sockets:
                one.setblocking(False)
                ready.register(one, selectors.EVENT_READ, one)
            ready.register(wake, selectors.EVENT_READ)
            while True:
                self.pulse.turn(LOOP)
                came = ready.select(TURN_S)
                if any(key.data is None for key, _ in came):
                    self.pulse.rest(LOOP)
                    return
                for key, _ in came:
                    self._take(key.data)

    def _take(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no file descriptors, most likely: others end in a moment
            log.warning("A connection could not be taken: %s", error)
            time.sleep(0.05)
            return
        seat = self._room.admit(connection)
        if seat is None:
            self._turn_away(connection)
            return
        tcp = listener.family != socket.AF_UNIX
        try:
            threading.Thread(target=self._serve, args=(seat, tcp), name="door", daemon=True).start()
        except RuntimeError:  # no more threads
            self._room.leave(seat)
            self._turn_away(connection)

    def _turn_away(self, connection: socket.socket) -> None:
        """Say that there is no room, without waiting for anything."""
        self.routes.counts.turn_away()
        full = EngineError("The device has as many connections as it may", reason="busy", expected=str(self.settings.max_connections))
        with connection, suppress(OSError):
            connection.setblocking(False)
            connection.send(refusal_reply(Refused(503, full, [("retry-after", "1")], close=True)).to_bytes())
            connection.shutdown(socket.SHUT_WR)
            connection.recv(self.settings.max_head_bytes)

    def _serve(self, seat: Seat, tcp: bool) -> None:
        """One connection, until it ends."""
        line = Line(seat.connection, self.settings)
        try:
            with seat.connection:
                if tcp:
                    seat.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self._one(line, seat, tcp):
                    pass
                self._room.rest(seat)
                line.linger()
        except (Gone, OSError):
            pass
        except Exception:  # ours: recorded, and the connection has ended
            log.exception("A connection failed inside the agent")
        finally:
            self._room.leave(seat)

    def _one(self, line: Line, seat: Seat, tcp: bool) -> bool:
        """One request and its answer; whether another may follow. Raises Gone."""
        if line.rests and not self._room.rest(seat):
            return False
        line.wait()
        self._room.work(seat)
        stays, bodiless = False, False
        try:
            head = head_of(line.head())
            stays, bodiless = head.stays, head.method == "HEAD"
            if tcp:
                self._check_caller(head)
            reply = self.routes.reply(Request(head, line.body(head.length, head.headers.get("expect", "").lower() == "100-continue")))
        except Refused as refused:
            reply = refusal_reply(refused)
        stays = stays and not reply.close and not self._room.closing
        self.routes.counts.reply(reply.status)
        line.send(reply.to_bytes(stays, bodiless))
        return stays

    def _check_caller(self, head: Head) -> None:
        """A page of somebody else, in a browser of this machine, is not a caller. Raises Refused (403, 421), which closes."""
        host, origin = head.headers.get("host", "localhost"), head.headers.get("origin")
        if not host_fits(host, self._names):
            error = InputError("This device has no such name", field="host", got=host[:60], expected="localhost, an address, a name given")
            raise Refused(421, error, close=True)
        if origin is not None and origin.lower().partition("://")[2] != host.lower():
            raise Refused(403, InputError("The request comes from a page of somebody else", field="origin", got=origin[:60]), close=True)
