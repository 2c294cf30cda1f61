"""Record v1: what one served answer leaves behind, its receipt, and time-ordered ids. Pure data, no storage in here.

    >>> uuid7(1_700_000_000_000, bytes(10))
    '018bcfe5-6800-7000-8000-000000000000'
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .signature import Array, Signature

RECORD_VERSION = 1
RAW_LIMIT_BYTES = 4096
"""Tensors larger than this are kept as shape, dtype and sha256, not as values."""
REDACTED = {"redacted": True}
_SHOWN = ("model", "version", "target", "reason", "time-ms", "budget-ms", "record", "stale")
_HEADERS = {key: f"x-portside-{key}".encode() for key in _SHOWN}


@dataclass(frozen=True)
class Receipt:
    """Who answered one request, why, and what it cost.

    Attributes:
        model: name of the package (or "cache", "precomputed", "default", an endpoint's URL) that answered.
        version: its package digest, or that of the file of precomputed answers; empty where there is none.
        target: the runtime it ran on, "cache", "precomputed", "endpoint" or "default".
        entry: place in the chain; 0 is the champion.
        reason: "primary", or why the first entry did not answer: "deadline", "breaker-open", "crashed", "failed",
            "non-finite", "busy", "down". "cached": a cache was asked first. "consistent": the entity was answered before.
        attempts: "entry:reason" for every entry that did not answer, in order.
        time_ms: from arrival to answer; queueing included.
        model_ms: of that, spent on the entry that answered.
        deadline_ms: the budget there was; None: no deadline.
        within_deadline: `time_ms` did not exceed it.
        stale: the answer came from a cache after its time to live.
        age_ms: how old the answer is, where it was given before; None where it is new or that is not known.
        record: id of the record; empty when records are off.
    """

    model: str
    version: str
    target: str
    entry: int
    reason: str
    attempts: tuple[str, ...] = ()
    time_ms: float = 0.0
    model_ms: float = 0.0
    deadline_ms: float | None = None
    within_deadline: bool = True
    stale: bool = False
    record: str = ""
    age_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; times rounded to a microsecond."""
        return {**vars(self), "attempts": list(self.attempts), "time_ms": round(self.time_ms, 3), "model_ms": round(self.model_ms, 3)}

    def to_headers(self) -> list[tuple[bytes, bytes]]:
        """The receipt as HTTP headers, `x-portside-*`; nothing a caller sent is in them."""
        shown = {
            "model": self.model, "version": self.version, "target": self.target, "reason": self.reason,
            "time-ms": f"{self.time_ms:.3f}", "budget-ms": "" if self.deadline_ms is None else f"{self.deadline_ms:g}",
            "record": self.record, "stale": "true" if self.stale else "",
        }  # fmt: skip
        return [(_HEADERS[key], _header(value)) for key, value in shown.items() if value]


@dataclass(frozen=True)
class Record:
    """One served answer, schema version 1. A label joins later by `id`.

    Attributes:
        id: UUIDv7.
        event_ms: when it happened, said by the caller, else `server_ms`; Unix milliseconds.
        server_ms: when the server answered; Unix milliseconds.
        entity: who or what the request is about.
        package: digest of the package that answered, with `artifact` and `deployment` beside it.
        arm: "champion", "fallback", later "challenger".
        propensity: probability with which this arm was chosen.
        selection: probability with which the answer was chosen for review, and `selection_reason` why.
        decided_by: "model", "cache", "default" or an author.
        exposed: the caller was given this answer (a shadow's is not, nor is that of one step of a graph).
        parent: of a step's record, the id of the graph's record.
        device, sequence: which device, and its own count of records.
        inputs, features, outputs: by name; raw values, or what `keep` made of them.
        receipt: see Receipt.
        flags: what the door accepted but noticed.
    """

    id: str
    server_ms: int
    event_ms: int
    entity: str | None = None
    package: str = ""
    artifact: str = ""
    deployment: str = ""
    arm: str = "champion"
    propensity: float = 1.0
    selection: float = 0.0
    selection_reason: str | None = None
    decided_by: str = "model"
    exposed: bool = True
    parent: str | None = None
    device: str | None = None
    sequence: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    features: Mapping[str, Any] = field(default_factory=dict[str, Any])
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    receipt: Mapping[str, Any] = field(default_factory=dict[str, Any])
    flags: tuple[Any, ...] = ()
    version: int = RECORD_VERSION

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready when the tensors are (`keep` makes them so)."""
        return {**vars(self), "flags": list(self.flags)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Parse; fields of newer versions are left out."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {key: value for key, value in data.items() if key in known}
        values["flags"] = tuple(values.get("flags", ()))
        return cls(**values)


def keep(arrays: Mapping[str, Array], signature: Signature, limit_bytes: int = RAW_LIMIT_BYTES) -> dict[str, Any]:
    """What a record keeps of tensors: nothing of redacted fields, values of small ones, a description of large ones."""
    hidden = {spec.name for spec in (*signature.inputs, *signature.outputs) if spec.redact or spec.stays_on_device}
    return {name: dict(REDACTED) if name in hidden else described(array, limit_bytes) for name, array in arrays.items()}


def described(array: Array, limit_bytes: int = RAW_LIMIT_BYTES) -> Any:
    """A small tensor as nested lists (NaN and infinity as None, "inf", "-inf"); a large one as shape, dtype and sha256."""
    if array.nbytes <= limit_bytes:
        return plain(array)
    digest = hashlib.sha256(array.tobytes()).hexdigest() if array.dtype.kind != "O" else ""
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}


def plain(array: Array) -> Any:
    """Nested lists that any JSON parser reads: NaN becomes None, infinities text."""
    return _plain(array.tolist())


def new_id() -> str:
    """A UUIDv7 of this moment."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """RFC 9562 UUID version 7: 48 bits of Unix milliseconds, then 74 bits taken from `entropy` (10 bytes)."""
    tail = int.from_bytes(entropy[:10], "big")
    value = (unix_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | (tail >> 64 & 0xFFF) << 64 | 0b10 << 62 | tail & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _header(value: str) -> bytes:
    if value.isascii() and value.isprintable():
        return value.encode()
    return "".join(char if " " <= char <= "~" else "?" for char in value).encode("latin-1")
