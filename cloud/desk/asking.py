"""What a request to the desk asks: its query with types and limits, or a body of JSON. What cannot be meant is refused, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson

from ...sdk.core.errors import InputError
from ..doors.asgi import Incoming, RefusalError

QUERY_BYTES, PARTS = 4096, 64


class Query:
    """A parsed query string.

    Args:
        raw: as it was sent.
        known: names that may stand in it.

    Raises InputError (422): too long, not UTF-8, a name that is unknown or stands twice.
    """

    def __init__(self, raw: bytes, known: Sequence[str]) -> None:
        if len(raw) > QUERY_BYTES:
            raise InputError("The query is too long", field="query", got=f"{len(raw)} bytes", expected=f"at most {QUERY_BYTES}")
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARTS)
        except ValueError as error:
            raise InputError(f"The query cannot be read: {error}", field="query") from error
        self._held = dict(pairs)
        if unknown := sorted(set(self._held) - set(known)):
            raise InputError("The query holds a name that has no meaning here", field=unknown[0][:60], expected=", ".join(known) or "none")
        if len(self._held) < len(pairs):
            raise InputError("A name stands twice in the query", field="query")

    def text(self, name: str, most: int = 200) -> str:
        """As it was said, "" where it was not. Raises InputError for more than `most` characters."""
        said = self._held.get(name, "")
        if len(said) > most:
            raise InputError("This is too long", field=name, got=f"{len(said)} characters", expected=f"at most {most}")
        return said

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of `choices`, the first where nothing was said. Raises InputError."""
        said = self._held.get(name, choices[0])
        if said not in choices:
            raise InputError("This is none of the choices", field=name, got=said[:60], expected=", ".join(choices))
        return said

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`. Raises InputError."""
        said = self._held.get(name)
        if said is None:
            return default
        digits = said.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 16 and low <= int(said) <= high):
            raise InputError("This is no number that can be used here", field=name, got=said[:30], expected=f"{low} to {high}")
        return int(said)


def body(incoming: Incoming) -> dict[str, Any]:
    """The JSON object of a body. Raises RefusalError: 415 for another type, 400 for what is no object.

    The type is asked for because a browser sends JSON to another site only after asking it, and nobody here says yes.
    """
    media = incoming.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    if media != b"application/json":
        raise RefusalError(415, InputError("The body is to be JSON", field="content-type", got=media[:60].decode("latin-1"),
                                           expected="application/json"))  # fmt: skip
    try:
        data = orjson.loads(incoming.body or b"null")
    except orjson.JSONDecodeError as error:
        raise RefusalError(400, InputError(f"The body is not JSON: {error}", field="body")) from error
    if not isinstance(data, dict):
        raise RefusalError(400, InputError("The body is no JSON object", field="body", got=type(data).__name__))
    return data
