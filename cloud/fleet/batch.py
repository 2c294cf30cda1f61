"""A batch of a device as it was sent, read strictly: what is wrong with all of it refuses it, what is wrong with an entry refuses that one.

{"version": 1, "device": "cam-7", "outbox": "9f3a...", "versions": {"agent": "0.1.0"},
 "dropped": [{"kind": "record", "reason": "evicted", "count": 12}],
 "entries": [{"sequence": 1, "id": "0190...", "kind": "record", "body": {...}}]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from ...sdk.core.errors import FormatError, InputError

VERSION = 1
MOST_ENTRIES = 2000
MOST_NAMES = 50
LARGEST = (1 << 53) - 1
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Sent:
    """An entry. body: parsed, not looked at yet."""

    sequence: int
    id: str
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """What a device sent. dropped: (kind, reason) -> entries that it has given up since `outbox` was made."""

    device: str
    outbox: str
    versions: Mapping[str, str]
    dropped: Mapping[tuple[str, str], int]
    entries: tuple[Sent, ...]


def parsed(body: bytes, device: str) -> Batch:
    """Read a batch. device: whose key it came with.

    Raises:
        FormatError: it is no JSON of this version.
        InputError: something that it says cannot be meant.
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"The batch is not JSON: {error}") from error
    if not isinstance(said, dict) or cast("dict[str, Any]", said).get("version") != VERSION:
        raise FormatError("This is no batch of this version", expected=f'{{"version": {VERSION}, ...}}')
    data = cast("dict[str, Any]", said)
    if data.get("device") != device:
        raise InputError("The batch is another device's", field="device", got=str(data.get("device"))[:70], expected=device)
    entries = tuple(_entry(row, held) for row, held in enumerate(_list(data, "entries", MOST_ENTRIES)))
    for name, of in (("sequence", {entry.sequence for entry in entries}), ("id", {entry.id for entry in entries})):
        if len(of) < len(entries):
            raise InputError("An entry stands twice in a batch", field=name)
    return Batch(device, text(data, "outbox", 64), _versions(data.get("versions", {})), _dropped(data), entries)


def text(data: Mapping[str, Any], name: str, most: int) -> str:
    """A text that databases take. Raises InputError."""
    held = data.get(name)
    if not isinstance(held, str) or not 0 < len(held) <= most or "\0" in held or not _sound(held):
        raise InputError("This is no text, or too long", field=name, got=str(held)[:40], expected=f"1 to {most} characters")
    return held


def whole(data: Mapping[str, Any], name: str, low: int = 0, high: int = LARGEST) -> int:
    """A whole number. Raises InputError."""
    held = data.get(name)
    if type(held) is not int or not low <= held <= high:
        raise InputError("This is no whole number that can be used here", field=name, got=str(held)[:40], expected=f"{low} to {high}")
    return held


def _entry(row: int, said: Any) -> Sent:
    if not isinstance(said, dict):
        raise InputError("An entry is an object", row=row, field="entries")
    data = cast("dict[str, Any]", said)
    number, body = data.get("id"), data.get("body")
    if not isinstance(number, str) or not _UUID.fullmatch(number):
        raise InputError("An entry has an id", row=row, field="id", got=str(number)[:40], expected="a UUID in lower case")
    if not isinstance(body, dict):
        raise InputError("The body of an entry is an object", row=row, field="body", got=type(body).__name__)
    return Sent(whole(data, "sequence", 1), number, text(data, "kind", 40), cast("dict[str, Any]", body))


def _list(data: Mapping[str, Any], name: str, most: int) -> list[Any]:
    held = data.get(name, [])
    if not isinstance(held, list) or len(cast("list[Any]", held)) > most:
        raise InputError("This is no list, or too long", field=name, expected=f"at most {most}")
    return cast("list[Any]", held)


def _versions(said: Any) -> dict[str, str]:
    if not isinstance(said, dict) or len(cast("dict[str, Any]", said)) > MOST_NAMES:
        raise InputError("Versions are an object", field="versions", expected=f"at most {MOST_NAMES} names")
    held = cast("dict[str, Any]", said)
    return {text({"name": name}, "name", 64): text(held, name, 200) for name in sorted(held)}


def _dropped(data: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    found = dict[tuple[str, str], int]()
    for one in _list(data, "dropped", 4 * MOST_NAMES):
        if not isinstance(one, dict):
            raise InputError("What was given up is told by objects", field="dropped")
        held = cast("dict[str, Any]", one)
        words = text(held, "kind", 40), text(held, "reason", 40)
        if not all(map(_WORD.fullmatch, words)):
            raise InputError("What was given up has a kind and a reason", field="dropped", got=str(words))
        found[words] = whole(held, "count")
    return found


def _sound(held: str) -> bool:
    """Without lone surrogates, which are no UTF-8."""
    try:
        held.encode()
    except UnicodeEncodeError:
        return False
    return True
