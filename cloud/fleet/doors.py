"""A server for devices alone: no model, no desk for people, nothing but the database. In other servers routes.py is a part of the desk."""

from __future__ import annotations

from pathlib import Path

from ..desk.apart import NoModel
from ..desk.desk import Desk
from ..doors.asgi import TEXT, Incoming, Reply
from ..doors.hosts import Hosts
from ..doors.http_app import HttpApp
from ..doors.routes import Routes
from .routes import BODY_BYTES, Clock, prepare, routes_of, unix_ms


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


async def _alive(_: Incoming) -> Reply:
    return Reply(200, b"alive\n", TEXT)
