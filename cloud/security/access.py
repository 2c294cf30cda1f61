"""The guard that asks for a key: which routes are open, what scope the others need, and how a refusal reads.

The pages of the desk are open, for they hold no data: they ask for a key, and send it with each request for data.
What devices send comes with a key of the device, which cloud/fleet/routes.py asks for: no key of this file counts there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from ...sdk.core.errors import InputError, TrustError
from ..doors.asgi import HEAD, WHO, RefusalError, Scope
from .key_file import KeyFile
from .keys import Key, match

OPEN = frozenset({"/livez", "/readyz", "/", "/docs", "/v2/health/live", "/v2/health/ready"})
"""Health, for whoever watches over the server, and a page that says nothing of it."""
PREDICT, ADMIN = ("predict",), ("admin",)
SCOPES_OF = {"/metrics": ("metrics",), "POST /v1/labels": ("label", "admin")}
FOLDERS = {"/admin": ADMIN, "/dashboard": ("monitor", "admin"), "/review": ("review", "admin"), "/v1/reviews": ("review", "admin"),
           "/v1/": ("monitor", "admin")}  # fmt: skip
"""Of paths that begin like this; the first one counts."""
_FOLDERS = tuple(FOLDERS)
_ready = re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?/ready").fullmatch
"""Readiness of one model: a probe asks it. A model may itself be called "ready"."""
_page = re.compile(r"/(?:dashboard|review)(?:/static/[^/]+/[^/]+)?").fullmatch
"""A page of the desk, its scripts and styles."""
_decision = re.compile(r"/v1/reviews/[0-9a-fA-F-]{36}").fullmatch
"""What became of one review: who asked the model waits for it."""
_batches = re.compile(r"/v1/devices/[^/]+/batches").fullmatch
"""Where devices send to."""
KEY = "portside.key.found"
"""Key of the ASGI scope under which the guards that follow find the caller's Key."""
_REALM = 'Bearer realm="portside"'


class KeyGuard:
    """Lets in who has a key for what is asked.

    Args:
        file: the keys.
        deployment: from a path to the name of the deployment that answers it.
        clock: Unix seconds, for keys that expire.
        desk: its pages are served.
    """

    def __init__(self, file: KeyFile, deployment: Callable[[str], str], clock: Callable[[], float] = time.time, desk: bool = False) -> None:
        self._file, self._deployment, self._clock, self._desk = file, deployment, clock, desk

    def enter(self, scope: Scope) -> None:
        """Raises RefusalError: 401 without a key that counts, 403 with one that is for something else."""
        path = scope["path"]
        need = needed(path, scope["method"], self._desk)
        if need is None:
            return
        key = self._known(_text(scope[HEAD]))
        scope[WHO], scope[KEY] = key.name, key
        if need[0] not in key.scopes and set(need).isdisjoint(key.scopes):
            raise _forbidden(f"This key has not the scope {need[0]!r}", ", ".join(key.scopes), need[0])
        if need is PREDICT and not key.allows(name := self._deployment(path)):
            raise _forbidden(f"This key is not for the deployment {name!r}", ", ".join(key.deployments), need[0])

    def leave(self, ticket: Any, status: int, seconds: float) -> None:
        """Nothing was held."""

    def _known(self, text: str | None) -> Key:
        if text is None:
            raise _unknown("This route needs a key", "", "Send it as the header Authorization: Bearer KEY, or X-Api-Key: KEY.")
        key = match(self._file.at(time.monotonic()), text)
        if key is None:
            raise _unknown("This key is not known here", ', error="invalid_token"')
        if key.expires is not None and self._clock() >= key.expires:
            raise _unknown("This key has expired", ', error="invalid_token", error_description="expired"', "Ask for a new one.")
        return key


def needed(path: str, method: str = "GET", desk: bool = True) -> tuple[str, ...] | None:
    """The scopes of which a path needs one, the usual one first; None: it is open.

    A path that there is not needs one too, so that it tells strangers nothing. What the desk's routes show of a deployment
    is for keys of that deployment: see cloud/desk/rights.py.
    """
    if path in OPEN or _ready(path):
        return None
    if not path.startswith(_FOLDERS):
        return SCOPES_OF.get(path, PREDICT)
    if _page(path) or (method == "POST" and _batches(path)):
        return None if desk else PREDICT
    if method in ("GET", "HEAD") and _decision(path):
        return ("review", "predict", "admin")
    return SCOPES_OF.get(f"{method} {path}") or next(need for folder, need in FOLDERS.items() if path.startswith(folder))


def _text(headers: dict[bytes, bytes]) -> str | None:
    """The key as it was sent."""
    said = headers.get(b"authorization")
    if said is not None and said[:7].lower() == b"bearer ":
        return said[7:].strip().decode("latin-1")
    plain = headers.get(b"x-api-key")
    return None if plain is None else plain.strip().decode("latin-1")


def _unknown(what: str, challenge: str, fix: str | None = None) -> RefusalError:
    return RefusalError(401, InputError(what, field="authorization", fix=fix), [(b"www-authenticate", (_REALM + challenge).encode())])


def _forbidden(what: str, got: str, need: str) -> RefusalError:
    challenge = f'{_REALM}, error="insufficient_scope", scope="{need}"'
    return RefusalError(403, TrustError(what, got=got), [(b"www-authenticate", challenge.encode())])
