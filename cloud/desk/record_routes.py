"""`GET /v1/records` and `GET /v1/records/{id}`: what was asked, what was answered, by whom and why, and what was right."""

from __future__ import annotations

from functools import partial

from ...sdk.core.errors import InputError
from ..doors.asgi import Incoming, Methods, Reply
from ..doors.routes import Folder
from ..records.reading import every_label, labels_of, parts
from ..records.reading import find as find_one
from . import rights
from .asking import Query
from .belonging import reviews_of
from .desk import Desk
from .finding import MOST, STATES, Wanted, find
from .naming import brief, told, whole
from .replies import absent
from .replies import told as reply

ROOT = "/v1/records"
KNOWN = ("deployment", "entity", "model", "reason", "state", "value", "since", "until", "before", "limit")
LATEST_MS = 1 << 53


def routes_of(desk: Desk) -> tuple[dict[str, Methods], dict[str, Folder]]:
    """The list by its path, records below it."""
    one = desk.threaded(partial(_one, desk))
    return {ROOT: {"GET": desk.threaded(partial(_list, desk))}}, {f"{ROOT}/": lambda _: {"GET": one}}


def _list(desk: Desk, incoming: Incoming) -> Reply:
    query = Query(incoming.query, KNOWN)
    wanted = _wanted(desk, incoming, query)
    before = query.number("before", 0, 1, LATEST_MS) or None
    found = find(desk.database, wanted, before, query.number("limit", 50, 1, MOST), desk.signature)
    lines = [brief(record, labels, desk.signature(record)) for record, labels in found.records]
    return reply({"records": lines, "next": found.next, "scanned": found.scanned}, incoming)


def _wanted(desk: Desk, incoming: Incoming, query: Query) -> Wanted:
    """The query as what it asks for. Raises InputError, RefusalError."""
    name, value = query.text("deployment", 63), query.text("value")
    if name:
        rights.check(incoming, name)
    if value and "=" not in value:
        raise InputError("A value is asked for as field=value", field="value", got=value[:60])
    old = ("",) if rights.everything(incoming) else ()  # records of before they had names
    since, until = (query.number(side, -1, 0, LATEST_MS) for side in ("since", "until"))
    return Wanted(
        (name,) if name else (*rights.visible(incoming, desk.names), *old), query.text("entity"), query.text("model"),
        query.text("reason", 60), query.choice("state", STATES), value, None if since < 0 else since, None if until < 0 else until,
    )  # fmt: skip


def _one(desk: Desk, incoming: Incoming) -> Reply:
    """A record with all that belongs to it: labels in the order they came, the steps of a graph, what else parts know of it."""
    number = incoming.path.removeprefix(f"{ROOT}/")
    record = find_one(desk.database, number)
    if record is None or not rights.may(incoming, record.name):  # alike: a stranger learns nothing of others' records
        raise absent("There is no such record", number, "It may have been deleted when its time was over: [records] keep_days.")
    signature, labels = desk.signature(record), labels_of(desk.database, [number])
    data = whole(record, {row: label for (_, row), label in sorted(labels.items())}, signature)
    data["labels"] = [told(label, signature) for label in every_label(desk.database, [number])]
    data["steps"] = [brief(part, {}, desk.signature(part)) for part in parts(desk.database, number)]
    data["reviews"] = reviews_of(desk.database, number)
    data["signature"] = None if signature is None else signature.to_dict()
    return reply(data, incoming)
