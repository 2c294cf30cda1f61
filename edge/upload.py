"""The way home, decided: how long to wait, what a batch holds, what a reply means. Values in, values out; `upload_http.py` moves them.

- Only what the server says it holds is removed here. A reply that is not the server's own (a captive portal, a proxy) says nothing.
- A batch that the server cannot read is halved until the entry at fault is alone; that one is set aside, the others arrive.
- Waits have full jitter (Brooker, "Exponential backoff and jitter", 2015), so that devices that lost the server together do not come back
  together.
- No clock: neither order, nor waits, nor what is sent depend on what time the device thinks it is.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, cast

from ..sdk.core.canonical import canonical_json
from .outbox import Held

VERSION = 1
BASE_S, CAP_S = 1.0, 900.0
MOST_WAIT_S = 3600.0
"""What a server may ask for at the most."""
HIGHEST = 1 << 52
"""Entries are numbered anew above what a server says it holds; beyond this no number would be left for those to come."""
POISON = frozenset({400, 413, 415, 422})
"""Statuses that say that the batch itself is at fault."""
Means = Literal["held", "poison", "later", "key"]


def wait_s(attempt: int, seed: int, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Seconds before attempt `attempt` + 1 after so many failures in a row: anywhere from 0 to base x 2^(attempt - 1), capped.

    >>> wait_s(0, 7), wait_s(3, 7) <= 4, wait_s(50, 7) <= CAP_S
    (0.0, True, True)
    """
    if attempt <= 0:
        return 0.0
    ceiling = min(cap_s, base_s * 2.0 ** min(attempt - 1, 40))
    return Random(seed * 1_000_003 + attempt).random() * ceiling  # noqa: S311  not a secret


@dataclass(frozen=True)
class Sender:
    """Who sends: goes with every batch.

    Attributes:
        device: its id. outbox: `Outbox.id`.
        versions: what runs there, e.g. {"agent": "0.1.0", "release": "sha256:..."}.
    """

    device: str
    outbox: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Answered:
    """What a reply means.

    Attributes:
        means: "held": look at the rest; "poison": the batch is at fault; "later": try again; "key": nobody is let in with this key.
        held: sequence numbers that the server holds, of those that were sent.
        refused: sequence number -> why, of entries that it will never take.
        conflicts: numbers under which it holds other entries of this device. highest: its largest number of this device.
        wait_s: what it asked to be waited for.
        desired: the release it wants here; None: none said.
        why: for people.
    """

    means: Means
    held: tuple[int, ...] = ()
    refused: Mapping[int, str] | None = None
    conflicts: tuple[int, ...] = ()
    highest: int = 0
    wait_s: float = 0.0
    desired: str | None = None
    why: str = ""


def packed(sender: Sender, dropped: Mapping[tuple[str, str], int], entries: Sequence[Held]) -> bytes:
    """A batch as it is sent: gzip of JSON. Bodies are JSON already and are joined as they are."""
    lost = [{"kind": kind, "reason": reason, "count": count} for (kind, reason), count in sorted(dropped.items())]
    head = canonical_json({"version": VERSION, "device": sender.device, "outbox": sender.outbox, "versions": dict(sender.versions),
                           "dropped": lost})  # fmt: skip
    parts = [b'{"sequence":%d,"id":%s,"kind":%s,"body":%s}' % (one.sequence, _text(one.id), _text(one.kind), one.body) for one in entries]
    return gzip.compress(head[:-1] + b',"entries":[' + b",".join(parts) + b"]}", 6, mtime=0)


def understood(status: int, headers: Mapping[str, str], body: bytes, sent: Sequence[Held], sender: Sender) -> Answered:
    """What a reply to a batch means. headers: names in lower case. Whatever is not clearly the server's word means "later"."""
    said = _object(body)
    if status == 200 and said is not None and (said.get("device"), said.get("outbox")) == (sender.device, sender.outbox):
        return _held(said, {one.sequence for one in sent})
    ours = said is not None and isinstance(said.get("error"), str) and isinstance(said.get("what"), str)
    why = f"{status} {str(said['what'])[:200]}" if said is not None and ours else f"{status}, and not in the server's words"
    if ours and status in (401, 403):
        return Answered("key", why=why)
    if ours and status in POISON:
        return Answered("poison", why=why)
    return Answered("later", wait_s=_seconds(headers.get("retry-after", "")), why=why)


def halves(entries: Sequence[Held]) -> tuple[Sequence[Held], Sequence[Held]]:
    """A batch in two."""
    middle = len(entries) // 2
    return entries[:middle], entries[middle:]


def _held(said: Mapping[str, Any], sent: set[int]) -> Answered:
    try:
        held = tuple(number for number in said["held"] if number in sent and type(number) is int)
        refused = {int(one["sequence"]): str(one["error"])[:40] for one in said.get("refused", ()) if one["sequence"] in sent}
        conflicts = tuple(number for number in said.get("conflicts", ()) if number in sent and type(number) is int)
        highest, desired = int(said.get("highest", 0)), said.get("desired")
        if not 0 <= highest <= HIGHEST:
            raise ValueError("no device has so many entries")
        return Answered("held", held, refused, conflicts, highest, desired=desired if isinstance(desired, str) else None)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Answered("later", why=f"the acknowledgement cannot be read: {error!r}"[:200])


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None


def _seconds(said: str) -> float:
    """Of a Retry-After in seconds; one that is a date is left: it would need a clock."""
    return min(float(said), MOST_WAIT_S) if said.isascii() and said.isdigit() and len(said) < 9 else 0.0


def _text(value: str) -> bytes:
    return json.dumps(value).encode()
