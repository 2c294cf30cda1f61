"""How data is refused: an InputError whose message starts with the field and the row, and values short enough to print."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from .errors import InputError


def refusal(what: str, field: str, row: int | None = None, **rest: Any) -> InputError:
    """An InputError that names the field, and the row where there is one."""
    place = f"{field!r}" if row is None else f"{field!r}, row {row}"
    return InputError(f"{place}: {what}", field=field, row=row, **rest)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The name that `word` was probably meant to be, as a fix line.

    >>> nearest("thread", ["threads", "trust"])
    "Did you mean 'threads'?"
    """
    close = get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else None


def wording(text: str, field: str, most: int = 100_000) -> str:
    """`text`, where files, databases and digests take it as it is. Raises InputError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("This is not a text: some of its bytes are no UTF-8", field=field, got=ascii(text)[:80]) from error
    if "\0" in text or len(text) > most:
        got = "a NUL character" if "\0" in text else f"{len(text):,} characters"
        raise InputError("This text cannot be kept", field=field, got=got, expected=f"at most {most:,} characters, none of them NUL")
    return text


def shown(value: object, limit: int = 60) -> str:
    """A value for an error message: short, whatever it is."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number too long to show"
    text = repr(value[: limit + 1]) if isinstance(value, str) else repr(value) if isinstance(value, int | float) else type(value).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
