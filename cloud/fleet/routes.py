"""`POST /v1/devices/{device}/batches`: what devices send, each let in by its own key. Refusals say what is wrong, and with which entry."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote
from weakref import WeakSet

from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import FormatError, InputError, TrustError
from ..desk.desk import Desk
from ..desk.replies import told
from ..doors.asgi import Incoming, Methods, RefusalError, Reply
from ..doors.inflate import inflate
from ..doors.routes import Folder
from ..monitoring import tables as monitor_tables
from ..records.database import Database
from ..security.bucket import Bucket, take
from . import tables
from .batch import parsed
from .devices import Device, admitted
from .forgetting import MANY, forget
from .ingest import ingest

ROOT, TAIL = "/v1/devices/", "/batches"
BODY_BYTES, INFLATED_BYTES = 1 << 20, 8 << 20
PER_S, AT_ONCE = 20.0, 200.0
"""Batches of one device, at one server process."""
FORGET_S = 600.0
CHALLENGE = [(b"www-authenticate", b'Bearer realm="portside-devices"')]
Clock = Callable[[], int]
_PREPARED = WeakSet[Database]()


def unix_ms() -> int:
    """Unix milliseconds now."""
    return time.time_ns() // 1_000_000


def routes_of(desk: Desk, clock: Clock = unix_ms) -> tuple[dict[str, Methods], dict[str, Folder]]:
    """As parts of a desk have it: nothing by its path, devices as a folder. Tables are made when the first device sends something."""
    door = Door(desk, clock)

    def folder(path: str) -> Methods | None:
        if not path.startswith(ROOT) or not path.endswith(TAIL):
            return None
        return {"POST": desk.threaded(partial(door.take, unquote(path[len(ROOT) : -len(TAIL)])))}

    return {}, {ROOT: folder}


def prepare(desk: Desk) -> None:
    """Make the tables that batches go into. Raises FormatError, SQLAlchemyError."""
    monitor_tables.prepare(desk.database)
    tables.prepare(desk.database)


class Door:
    """What takes batches: checks whose they are, how many, how large, and lets old rows go now and then."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk, self._clock, self._forget_at = desk, clock, 0.0
        self._buckets = dict[str, Bucket]()

    def take(self, device: str, incoming: Incoming) -> Reply:
        """One batch. Raises RefusalError, InputError, SQLAlchemyError."""
        if (database := self._desk.database) not in _PREPARED:
            prepare(self._desk)
            _PREPARED.add(database)
        known, now_ms = self._known(device, incoming), self._clock()
        self._count(known.id, now_ms / 1000)
        body = _body(incoming)
        try:
            batch = parsed(body, known.id)
        except FormatError as error:
            raise RefusalError(400, error) from error
        taken = ingest(database, known, batch, now_ms)
        self._forget(database, now_ms)
        return told(taken.to_dict(batch))

    def _known(self, device: str, incoming: Incoming) -> Device:
        said = incoming.headers.get(b"authorization", b"")
        if said[:7].lower() != b"bearer ":
            error = InputError("A device shows its key", field="authorization", fix="Send Authorization: Bearer KEY.")
            raise RefusalError(401, error, CHALLENGE)
        try:
            return admitted(self._desk.database, device, said[7:].strip().decode("latin-1"))
        except TrustError as refused:
            raise RefusalError(403 if refused.got else 401, refused, CHALLENGE) from refused

    def _count(self, device: str, now_s: float) -> None:
        """Raise RefusalError (429) for a device that sends more than any has to."""
        self._buckets[device], wait_s = take(PER_S, AT_ONCE, self._buckets.get(device, Bucket(AT_ONCE, now_s)), now_s)
        if wait_s:
            error = InputError("This device sends more batches than it may", field="rate", expected=f"at most {PER_S:g} per second")
            raise RefusalError(429, error, [(b"retry-after", b"%d" % max(math.ceil(wait_s), 1))])

    def _forget(self, database: Database, now_ms: int) -> None:
        """Now and then, and a little at a time. What the batch became is durable: a fault here is not its sender's."""
        if time.monotonic() < self._forget_at:
            return
        try:
            more = forget(database, keep_days_of(self._desk), now_ms) >= MANY
        except SQLAlchemyError:
            more = False
        self._forget_at = 0.0 if more else time.monotonic() + FORGET_S


def keep_days_of(desk: Desk) -> float | None:
    """For how long the deployments of a desk keep records: the longest of them; None: one keeps them for ever, or nobody says."""
    said = [deployment.records.keep_days for deployment in desk.deployments]
    days = [one for one in said if one is not None]
    return max(days) if days and len(days) == len(said) else None


def _body(incoming: Incoming) -> bytes:
    """Inflated, within its limits. Raises RefusalError (400, 413, 415)."""
    if len(incoming.body) > BODY_BYTES:
        error = InputError("The batch is too large", field="body", got=f"{len(incoming.body)} bytes", expected=f"at most {BODY_BYTES}")
        raise RefusalError(413, error)
    coding = incoming.headers.get(b"content-encoding", b"identity").strip().lower()
    if coding == b"identity":
        return bytes(incoming.body)
    if coding != b"gzip":
        raise RefusalError(415, InputError("Batches are compressed by gzip, or not at all", field="content-encoding"))
    return inflate(incoming.body, coding, INFLATED_BYTES)
