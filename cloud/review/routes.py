"""Reviews over HTTP: the page at /review, and what it asks below /v1/reviews.

    GET  /v1/reviews                      counts, and items by state
    GET  /v1/reviews/{id}                 how one stands, with its answer: what a caller asks who was told "pending"
    POST /v1/reviews/lease                the next items, held for the reviewer
    POST /v1/reviews/renew, /release      hold on to items, give them back
    POST /v1/reviews/{id}/decide, /undo, /skip
    GET  /v1/reviews/{id}/files/{place}   a picture or a sound
    GET  /v1/reviews/{id}/choices         every category that may be answered
    GET  /v1/reviews/mine                 what the reviewer decided lately

Who reviews is the name of the key; where nobody needs a key it is said in the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..desk.bundle import Bundle
from ..desk.desk import Desk
from ..doors.asgi import Handler, Incoming, Methods, RefusalError, Reply
from ..doors.routes import Folder
from . import taking, telling
from .context import ROOT
from .refusals import TakenError, UnknownReviewError

Answer: TypeAlias = Callable[[Desk, Incoming], Reply]
WEB = Path(__file__).parent / "web"
SHARED = Path(__file__).parent.parent / "desk" / "web"
AT: dict[str, tuple[str, Answer]] = {
    "": ("GET", telling.listed), "/mine": ("GET", telling.mine), "/lease": ("POST", taking.lease), "/renew": ("POST", taking.renew),
    "/release": ("POST", taking.release),
}  # fmt: skip
OF_ONE: dict[str, tuple[str, Answer]] = {
    "": ("GET", telling.status), "files": ("GET", telling.file), "choices": ("GET", telling.choices), "decide": ("POST", taking.decide),
    "undo": ("POST", taking.undo), "skip": ("POST", taking.skip),
}  # fmt: skip
_below = re.compile(r"[0-9a-zA-Z_-]{1,64}(?:/([a-z]+)(/\d{1,4})?)?").fullmatch


def routes_of(desk: Desk) -> tuple[dict[str, Methods], dict[str, Folder]]:
    """The page with its files, and the routes."""
    exact, folders = Bundle("review", [SHARED, WEB]).routes()
    exact |= {ROOT + path: {method: _handler(desk, answer)} for path, (method, answer) in AT.items()}
    known = {name: {method: _handler(desk, answer)} for name, (method, answer) in OF_ONE.items()}

    def inside(path: str) -> Methods | None:
        match = _below(path.removeprefix(f"{ROOT}/"))
        if match is None or (match[2] is not None) != (match[1] == "files"):
            return None
        return known.get(match[1] or "")

    folders[f"{ROOT}/"] = inside
    return exact, folders


def _handler(desk: Desk, answer: Answer) -> Handler:
    """A handler in the desk's threads: 404 for an item that is not there, 409 for one that is somebody else's."""

    def answered(incoming: Incoming) -> Reply:
        try:
            return answer(desk, incoming)
        except UnknownReviewError as error:
            raise RefusalError(404, error) from error
        except TakenError as error:
            raise RefusalError(409, error) from error

    return desk.threaded(answered)
