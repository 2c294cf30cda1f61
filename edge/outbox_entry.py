"""What waits in an outbox, and how one stands. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..sdk.core.errors import InputError
from ..sdk.core.records import new_id
from .outbox_policy import urgency_of


@dataclass(frozen=True)
class Entry:
    """What is to go home.

    Attributes:
        kind: of `outbox_policy.KINDS`.
        body: JSON-ready, or JSON already, without what stays on the device (`leaving.py`).
        id: UUIDv7; the same entry appended twice is there once at the server.
    """

    kind: str
    body: Mapping[str, Any] | bytes
    id: str = field(default_factory=new_id)

    def sealed(self) -> Entry:
        """The same with its body as JSON. Raises InputError: a kind that there is not, a body that is no JSON."""
        urgency_of(self.kind)
        return self if isinstance(self.body, bytes) else replace(self, body=_json(self.body))


@dataclass(frozen=True)
class Held:
    """An entry that waits. body: its JSON, UTF-8."""

    sequence: int
    id: str
    kind: str
    body: bytes


@dataclass(frozen=True)
class Status:
    """How an outbox stands.

    Attributes:
        waiting: kind -> entries; aside: entries that the server refused.
        dropped: "kind:reason" -> entries given up since the outbox was made.
        next: the next sequence number. size_bytes: of its files; quota_bytes: what they may be.
    """

    waiting: Mapping[str, int]
    aside: int
    dropped: Mapping[str, int]
    next: int
    size_bytes: int
    quota_bytes: int


def _json(body: Mapping[str, Any]) -> bytes:
    """Raises InputError."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"The body of an entry is no JSON: {error}", field="body") from error
