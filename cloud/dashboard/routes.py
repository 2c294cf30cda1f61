"""The dashboard over HTTP: the page at /dashboard, and its data below /dashboard/data, as JSON with an ETag. Read only.

    GET /dashboard                                        the page; it holds no data
    GET /dashboard/data/deployments                       those that the caller may see
    GET /dashboard/data/status?deployment=&span=          up, who answered, right, changed, alerts
    GET /dashboard/data/feature?deployment=&span=&name=&slice=
    GET /dashboard/data/slice?deployment=&span=&name=
    GET /dashboard/data/alerts?deployment=                all of them
    GET /dashboard/data/alert?deployment=&id=             one, with its evidence and the records behind it
    GET /dashboard/data/devices?deployment=               those that send its records, and how they stand
    GET /dashboard/data/device?deployment=&id=            one, with its log
    GET /dashboard/data/rollout?deployment=&id=           the newest rollout or that one: measures, arms, log; the others in a line each
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...sdk.core.errors import InputError
from ..desk import rights
from ..desk.asking import Query
from ..desk.bundle import Bundle
from ..desk.desk import Desk
from ..desk.replies import absent
from ..desk.replies import told as reply
from ..doors.asgi import Incoming, Methods, Reply
from ..doors.routes import Folder
from . import alerts, fleet
from .spans import SPANS
from .status import Board

DATA = "/dashboard/data"
SPAN_NAMES = ("24h", *(name for name in SPANS if name != "24h"))
"""The first one counts where none is said."""
NAME = 300


def routes_of(desk: Desk) -> tuple[dict[str, Methods], dict[str, Folder]]:
    """The page with its files, and the data."""
    web = Path(__file__).parent / "web"
    exact, folders = Bundle("dashboard", [web.parent.parent / "desk" / "web", web]).routes()
    board = Board(desk, now_ms)
    for name, work in WORKS.items():
        exact[f"{DATA}/{name}"] = {"GET": desk.threaded(_bound(work, desk, board))}
    return exact, folders


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _bound(work: Callable[[Desk, Board, Incoming], Any], desk: Desk, board: Board) -> Callable[[Incoming], Reply]:
    return lambda incoming: reply(work(desk, board, incoming), incoming)


def _deployments(desk: Desk, board: Board, incoming: Incoming) -> Any:
    Query(incoming.query, ())
    return {"deployments": board.deployments(rights.visible(incoming, desk.names)), "spans": list(SPANS)}


def _status(desk: Desk, board: Board, incoming: Incoming) -> Any:
    query = Query(incoming.query, ("deployment", "span"))
    return board.status(_deployment(desk, incoming, query), query.choice("span", SPAN_NAMES))


def _feature(desk: Desk, board: Board, incoming: Incoming) -> Any:
    query = Query(incoming.query, ("deployment", "span", "name", "slice"))
    name, part = query.text("name", NAME), query.text("slice", NAME)
    found = board.feature(_deployment(desk, incoming, query), query.choice("span", SPAN_NAMES), name, part)
    if found is None:
        raise absent("No value of this field was seen in this span, and the reference knows none", name)
    return found


def _slice(desk: Desk, board: Board, incoming: Incoming) -> Any:
    query = Query(incoming.query, ("deployment", "span", "name"))
    name = query.text("name", NAME)
    found = board.slice(_deployment(desk, incoming, query), query.choice("span", SPAN_NAMES), name)
    if found is None:
        raise absent("There was no row of this slice in this span", name)
    return found


def _alerts(desk: Desk, board: Board, incoming: Incoming) -> Any:
    name = _deployment(desk, incoming, Query(incoming.query, ("deployment",)))
    return {"alerts": [alerts.brief(alert) for alert in board.watched.alerts(name)], "monitor_ms": board.watched.at_ms(name)}


def _alert(desk: Desk, board: Board, incoming: Incoming) -> Any:
    query = Query(incoming.query, ("deployment", "id"))
    number = query.text("id", 64)
    found = board.alert(_deployment(desk, incoming, query), number)
    if found is None:
        raise absent("There is no such alert", number)
    return found


def _devices(desk: Desk, board: Board, incoming: Incoming) -> Any:
    return fleet.listed(desk.database, _deployment(desk, incoming, Query(incoming.query, ("deployment",))), now_ms())


def _device(desk: Desk, board: Board, incoming: Incoming) -> Any:
    query = Query(incoming.query, ("deployment", "id"))
    number = query.text("id", 64)
    found = fleet.one(desk.database, _deployment(desk, incoming, query), number, now_ms())
    if found is None:
        raise absent("There is no such device", number)
    return found


def _rollout(desk: Desk, board: Board, incoming: Incoming) -> Any:
    query = Query(incoming.query, ("deployment", "id"))
    name, number = _deployment(desk, incoming, query), query.text("id", 64)
    found = board.rollout(name, number)
    if number and found["rollout"] is None:
        raise absent("There is no such rollout", number)
    return found


def _deployment(desk: Desk, incoming: Incoming, query: Query) -> str:
    """The deployment that is asked about, else the first that the caller may see. Raises InputError, RefusalError."""
    visible, said = rights.visible(incoming, desk.names), query.text("deployment", 63)
    if said:
        rights.check(incoming, said)  # first, so that a key does not learn which others there are
    name = said or next(iter(visible), "")
    if name not in visible:
        raise InputError("There is no such deployment here", field="deployment", got=said, expected=", ".join(visible) or "none")
    return name


WORKS: dict[str, Callable[[Desk, Board, Incoming], Any]] = {
    "deployments": _deployments, "status": _status, "feature": _feature, "slice": _slice, "alerts": _alerts, "alert": _alert,
    "devices": _devices, "device": _device, "rollout": _rollout,
}  # fmt: skip
