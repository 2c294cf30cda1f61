"""Where the receipt of an answer goes: into its body, its headers, both or neither, as the caller or the deployment says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...sdk.core.errors import InputError
from .asgi import RefusalError

HEADER = b"x-portside-receipt"


class Places(NamedTuple):
    """Where it goes."""

    body: bool
    headers: bool


PLACES = {"both": Places(True, True), "body": Places(True, False), "headers": Places(False, True), "none": Places(False, False)}


def places(headers: Mapping[bytes, bytes], setting: str) -> Places:
    """What the request says, else what the deployment does. Raises RefusalError (400) for another word."""
    said = headers.get(HEADER)
    if said is None:
        return PLACES[setting]
    word = said.strip().lower().decode("latin-1")
    if word not in PLACES:
        raise RefusalError(400, InputError("There is no such place for a receipt", field=HEADER.decode(), got=word[:40],
                                           expected=", ".join(PLACES)))  # fmt: skip
    return PLACES[word]
