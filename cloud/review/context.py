"""What the routes of a desk look up: settings, the item that a path names, the signature behind it, what a caller may see."""

from __future__ import annotations

import time
from weakref import WeakSet

from sqlalchemy import RowMapping

from ...sdk.core.errors import InputError
from ...sdk.core.signature import Signature
from ..deployment.review import Review
from ..desk import rights
from ..desk.desk import Desk
from ..doors.asgi import Incoming
from ..records.database import Database
from . import queue
from .naming import signature_behind
from .refusals import UnknownReviewError
from .turn import reading

ROOT = "/v1/reviews"


_PREPARED = WeakSet[Database]()


def database(desk: Desk) -> Database:
    """The desk's, with the tables of reviews. Raises FormatError."""
    held = desk.database
    if held not in _PREPARED:
        queue.prepare(held)
        _PREPARED.add(held)
    return held


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def settings(desk: Desk, name: str) -> Review:
    """The section of a deployment; defaults where the desk was not given its file."""
    deployment = desk.deployment(name)
    return Review() if deployment is None else deployment.review


def lease_ms(desk: Desk, *names: str) -> int:
    """How long an item of these deployments is held: the shortest of them."""
    return min((int(settings(desk, name).lease_s * 1000) for name in names), default=queue.LEASE_MS)


def expire(desk: Desk, now_ms: int) -> None:
    """Answer in people's stead where a deadline has passed, as each deployment says."""
    queue.expire(database(desk), now_ms, {one.name: one.review.instead() for one in desk.deployments})


def asked_row(desk: Desk, incoming: Incoming) -> RowMapping:
    """The item that the path names. Raises UnknownReviewError for one that the caller's key is not for, too."""
    number = incoming.path.removeprefix(f"{ROOT}/").partition("/")[0]
    with reading(database(desk)) as connection:
        row = queue.found(connection, number)
    if not rights.may(incoming, row["deployment"]):
        raise UnknownReviewError(number)
    return row


def signature_of(desk: Desk, record: str) -> Signature | None:
    """What the deployment of this record holds; None where no server has said."""
    return signature_behind(database(desk), record)


def visible(desk: Desk, incoming: Incoming, wanted: str) -> tuple[str, ...]:
    """The deployments that are asked about and that the caller may see. Raises InputError, RefusalError."""
    if not wanted:
        return rights.visible(incoming, desk.names)
    if wanted not in desk.names:
        raise InputError("There is no such deployment here", field="deployment", got=wanted, expected=", ".join(desk.names))
    rights.check(incoming, wanted)
    return (wanted,)
