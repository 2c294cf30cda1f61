"""How data is refused: an InputError whose message starts with the field and the row, and values short enough to print."""

from __future__ import annotations

from typing import Any

from .errors import InputError


def refusal(what: str, field: str, row: int | None = None, **rest: Any) -> InputError:
    """An InputError that names the field, and the row where there is one."""
    place = f"{field!r}" if row is None else f"{field!r}, row {row}"
    return InputError(f"{place}: {what}", field=field, row=row, **rest)


def shown(value: object, limit: int = 60) -> str:
    """A value for an error message: short, whatever it is."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number too long to show"
    text = repr(value[: limit + 1]) if isinstance(value, str) else repr(value) if isinstance(value, int | float) else type(value).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
