"""`POST /v1/devices/{device}/batches`: what devices send, each let in by its own key. Refusals say what is wrong, and with which entry."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from ...sdk.core.errors import FormatError, InputError, PortsideError, TrustError
from ..desk.apart import NoModel
from ..desk.desk import Desk
from ..desk.replies import told
from ..doors.asgi import TEXT, Incoming, Methods, RefusalError, Reply
from ..doors.hosts import Hosts
from ..doors.http_app import HttpApp
from ..doors.inflate import inflate
from ..doors.routes import Folder, Routes
from ..monitoring import tables as monitor_tables
from . import tables
from .batch import parsed
from .devices import admitted
from .ingest import ingest

ROOT, TAIL = "/v1/devices/", "/batches"
BODY_BYTES, INFLATED_BYTES = 1 << 20, 8 << 20
CHALLENGE = [(b"www-authenticate", b'Bearer realm="portside-devices"')]
Clock = Callable[[], int]


def unix_ms() -> int:
    """Unix milliseconds now."""
    return time.time_ns() // 1_000_000


def routes_of(desk: Desk, clock: Clock = unix_ms) -> tuple[dict[str, Methods], dict[str, Folder]]:
    """As parts of a desk have it. `prepare` the desk's database first."""

    def folder(path: str) -> Methods | None:
        if not path.startswith(ROOT) or not path.endswith(TAIL):
            return None
        return {"POST": desk.threaded(partial(_take, desk, unquote(path[len(ROOT) : -len(TAIL)]), clock))}

    return {}, {ROOT: folder}


def prepare(desk: Desk) -> None:
    """Make the tables that batches go into. Raises FormatError, SQLAlchemyError."""
    monitor_tables.prepare(desk.database)
    tables.prepare(desk.database)


class FleetApp(HttpApp):
    """An ASGI application that devices send to, of its own: no model, nothing but the database.

    Args:
        where: the records database, as `Database.open` takes it.
        clock: Unix milliseconds.

    Attributes:
        desk: to be closed in the end.
    """

    def __init__(self, where: str | Path, clock: Clock = unix_ms) -> None:
        super().__init__(Hosts((NoModel("fleet"),)), BODY_BYTES)
        self.desk = Desk(where, ())
        prepare(self.desk)
        self.routes = Routes({"/livez": {"GET": _alive}})
        self.routes.folders |= routes_of(self.desk, clock)[1]


def _take(desk: Desk, device: str, clock: Clock, incoming: Incoming) -> Reply:
    """One batch. Raises RefusalError, InputError, SQLAlchemyError."""
    said = incoming.headers.get(b"authorization", b"")
    if said[:7].lower() != b"bearer ":
        raise RefusalError(
            401, InputError("A device shows its key", field="authorization", fix="Send Authorization: Bearer KEY."), CHALLENGE
        )
    try:
        known = admitted(desk.database, device, said[7:].strip().decode("latin-1"))
    except TrustError as error:
        raise RefusalError(403 if error.got else 401, error, CHALLENGE) from error
    body = _body(incoming)
    try:
        batch = parsed(body, known.id)
    except FormatError as error:
        raise RefusalError(400, error) from error
    return told(ingest(desk.database, known, batch, clock()).to_dict(batch))


def _body(incoming: Incoming) -> bytes:
    """Inflated, within its limit. Raises RefusalError (400, 413, 415)."""
    coding = incoming.headers.get(b"content-encoding", b"identity").strip().lower()
    if coding == b"identity":
        return bytes(incoming.body)
    if coding != b"gzip":
        error: PortsideError = InputError("Batches are compressed by gzip, or not at all", field="content-encoding")
        raise RefusalError(415, error)
    return inflate(incoming.body, coding, INFLATED_BYTES)


async def _alive(_: Incoming) -> Reply:
    return Reply(200, b"alive\n", TEXT)
