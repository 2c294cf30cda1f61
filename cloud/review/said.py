"""What a reviewer's page says in a request: who it is for, and typed values. What cannot be meant is refused."""

from __future__ import annotations

from typing import Any, NamedTuple, cast
from uuid import UUID

from ...sdk.core.errors import InputError
from ..desk.asking import body
from ..doors.asgi import Incoming

NAME, SEAT, IDS = 64, 64, 16


class Said(NamedTuple):
    """A request, read. `seat`: which window of the reviewer's asks."""

    reviewer: str
    seat: str
    data: dict[str, Any]

    def text(self, name: str, most: int) -> str:
        """As it was said, "" where it was not. Raises InputError."""
        value = self.data.get(name) or ""
        if not isinstance(value, str) or len(value) > most:
            raise InputError("This is no text, or too long", field=name, expected=f"at most {most} characters")
        return value

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number; `low` where nothing was said. Raises InputError."""
        value = self.data.get(name, low)
        if type(value) is not int or not low <= value <= high:
            raise InputError("This is no number that can be used here", field=name, got=str(value)[:40], expected=f"{low} to {high}")
        return value

    def ids(self, name: str) -> list[str]:
        """A short list of ids. Raises InputError."""
        value = self.data.get(name, [])
        held = cast("list[Any]", value if isinstance(value, list) else [None])
        if len(held) > IDS or not all(isinstance(one, str) for one in held):
            raise InputError("This is no list of ids", field=name, expected=f"at most {IDS} texts")
        return held

    def token(self) -> str | None:
        """The name of a decision, a UUIDv7. Raises InputError."""
        value = self.text("token", 36)
        if not value:
            return None
        try:
            known = str(UUID(value)) == value
        except ValueError:
            known = False
        if not known:
            raise InputError("A decision is named by a UUID in small letters", field="token", got=value)
        return value

    def values(self) -> dict[str, Any]:
        """Output -> value. Raises InputError."""
        value = self.data.get("values")
        if not isinstance(value, dict) or not value:
            raise InputError("A decision says what an output is", field="values", expected='{"label": 1}')
        return cast("dict[str, Any]", value)


def said(incoming: Incoming, *names: str) -> Said:
    """The body of a request whose fields are `names`, the reviewer and the seat. Raises RefusalError, InputError."""
    data = body(incoming)
    if unknown := sorted(set(data) - {"reviewer", "seat", *names}):
        raise InputError("The body holds what has no meaning here", field=unknown[0][:60], expected=", ".join(("reviewer", "seat", *names)))
    asked = Said("", "", data)
    name, seat = asked.text("reviewer", NAME).strip(), asked.text("seat", SEAT)
    if incoming.who and name not in ("", incoming.who):
        raise InputError("The reviewer is whose key it is", field="reviewer", got=name, expected=incoming.who, fix="Leave it out.")
    if not (who := incoming.who or name) or not who.isprintable():
        raise InputError("A reviewer has a name", field="reviewer", fix="Say who reviews, or use a key, which has a name.")
    return Said(who, seat, data)
