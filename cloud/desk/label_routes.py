"""`POST /v1/labels`: what was right, said later, durable before it is answered. `GET /v1/labels`: those of a record, or all in turn."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, cast
from uuid import UUID

from ...sdk.core.errors import InputError, PortsideError
from ...sdk.core.labels import Label
from ...sdk.core.records import new_id
from ..doors.asgi import Incoming, Methods, RefusalError, Reply
from ..doors.routes import Folder
from ..records.labelling import label as write
from ..records.reading import every_label, find, labels_after
from . import rights
from .asking import Query, body
from .desk import Desk
from .replies import absent
from .replies import told as reply

ROOT = "/v1/labels"
MOST = 1000
SOURCES = ("api", "import")
"""What a caller may say of where a label comes from; "person" and "check" are said by reviews, which know it."""
KNOWN = {"id", "record", "row", "values", "author", "at_ms", "source", "note"}
AHEAD_MS = 5 * 60_000
NOTE = 2000


def routes_of(desk: Desk) -> tuple[dict[str, Methods], dict[str, Folder]]:
    """Both methods of one path."""
    return {ROOT: {"GET": desk.threaded(partial(_list, desk)), "POST": desk.threaded(partial(_take, desk))}}, {}


def _take(desk: Desk, incoming: Incoming) -> Reply:
    """All of them, or none. The answer tells how many were new, and their ids in order."""
    said = body(incoming)
    entries = said.get("labels", [said])
    if not isinstance(entries, list) or not 0 < len(cast("list[Any]", entries)) <= MOST:
        raise InputError("A request holds one label, or a list of them", field="labels", expected=f"1 to {MOST}")
    if "labels" in said and len(said) > 1:
        raise InputError("Beside the list nothing is known", field=next(name for name in said if name != "labels")[:60], expected="labels")
    now_ms = time.time_ns() // 1_000_000
    labels = [_numbered(place, entry, incoming.who, now_ms) for place, entry in enumerate(cast("list[Any]", entries))]
    _check_rights(desk, incoming, labels)
    return reply({"new": write(desk.database, labels), "ids": [label.id for label in labels]})


def _numbered(place: int, entry: Any, who: str, now_ms: int) -> Label:
    """The label, or what is wrong with it and which it is."""
    try:
        return _read(entry, who, now_ms)
    except PortsideError as error:
        raise InputError(error.what, field=getattr(error, "field", None), row=place, got=error.got, expected=error.expected,
                         fix=error.fix) from error  # fmt: skip


def _read(entry: Any, who: str, now_ms: int) -> Label:
    """A label as it was sent. Raises InputError."""
    if not isinstance(entry, dict):
        raise InputError("A label is an object", got=type(entry).__name__, expected='{"record": ..., "values": {...}}')
    said = cast("dict[str, Any]", entry)
    if unknown := sorted(set(said) - KNOWN):
        raise InputError("A label has no such field", field=unknown[0][:60], expected=", ".join(sorted(KNOWN)))
    if who and said.get("author", who) != who:
        raise InputError("The author of a label is whose key it is", field="author", got=str(said["author"])[:60], expected=who,
                         fix="Leave it out, or use that author's key.")  # fmt: skip
    _check_types(said)
    number = said.get("id") or new_id()
    at_ms = said["at_ms"] if "at_ms" in said else _moment(number)
    if at_ms > now_ms + AHEAD_MS:
        raise InputError("A label is of the past", field="at_ms", got=at_ms, expected=f"Unix milliseconds, at most {now_ms}")
    return Label(number, said.get("record", ""), said.get("row", 0), said.get("values", {}), who or said.get("author", ""), at_ms,
                 said.get("source", "api"), said.get("note", ""))  # fmt: skip


def _moment(number: str) -> int:
    """When the label was made, from its id, so that it is the same label when it is sent again. Raises InputError."""
    try:
        held = UUID(number)
    except ValueError as error:
        raise InputError("A label whose id is no UUIDv7 says when it was made", field="at_ms", expected="Unix milliseconds") from error
    if held.version != 7:
        raise InputError("A label whose id is no UUIDv7 says when it was made", field="at_ms", expected="Unix milliseconds")
    return held.int >> 80


def _check_types(said: dict[str, Any]) -> None:
    """Raise InputError for a field of another type than a label has, or that is too long."""
    for name, most in (("id", 64), ("record", 64), ("author", 100), ("note", NOTE)):
        if not isinstance(said.get(name, ""), str) or len(said.get(name, "")) > most:
            raise InputError("This is no text, or too long", field=name, expected=f"at most {most} characters")
    for name in ("row", "at_ms"):
        if type(said.get(name, 0)) is not int or not 0 <= said.get(name, 0) < 1 << 53:
            raise InputError("This is no whole number that a label can hold", field=name, got=str(said[name])[:40])
    if not isinstance(said.get("values", {}), dict):
        raise InputError("The values of a label are an object", field="values", expected="output -> value")
    if said.get("source", "api") not in SOURCES:
        raise InputError("This source is not a caller's to say", field="source", got=str(said["source"])[:40], expected=", ".join(SOURCES))


def _check_rights(desk: Desk, incoming: Incoming, labels: list[Label]) -> None:
    """Raise RefusalError (404) where a key is for some deployments, and a record is not one of theirs or not there."""
    if rights.everything(incoming):
        return
    for number in {label.record for label in labels}:
        record = find(desk.database, number)
        if record is None or not rights.may(incoming, record.name):
            raise absent("There is no such record for this key", number)


def _list(desk: Desk, incoming: Incoming) -> Reply:
    """Of one record, corrected ones included; or in the order they came, from a cursor on."""
    query = Query(incoming.query, ("record", "after", "limit"))
    after, limit = query.number("after", 0, 0, 1 << 53), query.number("limit", 100, 1, MOST)
    if number := query.text("record", 64):
        record = find(desk.database, number)
        if record is not None:
            rights.check(incoming, record.name)
        elif not rights.everything(incoming):
            raise absent("There is no such record", number)
        return reply({"labels": [label.to_dict() for label in every_label(desk.database, [number])]}, incoming)
    if not rights.everything(incoming):
        raise RefusalError(403, InputError("A key for some deployments reads the labels of one record", field="record"))
    found = labels_after(desk.database, after, limit)
    return reply({"labels": [label.to_dict() for _, label in found], "next": found[-1][0] if found else None}, incoming)
