"""The guard that asks for a key: which routes are open, what scope the others need, and how a refusal reads."""

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
SCOPE_OF = {"/metrics": "metrics"}
ADMIN = "/admin"
_ready = re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?/ready").fullmatch
"""Readiness of one model: a probe asks it. A model may itself be called "ready"."""
KEY = "portside.key.found"
"""Key of the ASGI scope under which the guards that follow find the caller's Key."""
_REALM = 'Bearer realm="portside"'


class KeyGuard:
    """Lets in who has a key for what is asked.

    Args:
        file: the keys.
        deployment: from a path to the name of the deployment that answers it.
        clock: Unix seconds, for keys that expire.
    """

    def __init__(self, file: KeyFile, deployment: Callable[[str], str], clock: Callable[[], float] = time.time) -> None:
        self._file, self._deployment, self._clock = file, deployment, clock

    def enter(self, scope: Scope) -> None:
        """Raises RefusalError: 401 without a key that counts, 403 with one that is for something else."""
        path = scope["path"]
        need = needed(path)
        if need is None:
            return
        key = self._known(_text(scope[HEAD]))
        scope[WHO], scope[KEY] = key.name, key
        if need not in key.scopes:
            raise _forbidden(f"This key has not the scope {need!r}", ", ".join(key.scopes), need)
        if need == "predict" and not key.allows(name := self._deployment(path)):
            raise _forbidden(f"This key is not for the deployment {name!r}", ", ".join(key.deployments), need)

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


def needed(path: str) -> str | None:
    """The scope that a path needs; None: it is open. A path that there is not needs one too, so that it tells strangers nothing."""
    if path in OPEN or _ready(path):
        return None
    return "admin" if path.startswith(ADMIN) else SCOPE_OF.get(path, "predict")


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
