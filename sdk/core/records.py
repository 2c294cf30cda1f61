"""Record v1: what one served answer leaves behind, its receipt, and time-ordered ids. Pure data, no storage in here.

>>> uuid7(1_700_000_000_000, bytes(10))
'018bcfe5-6800-7000-8000-000000000000'
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import numpy as np

from .signature import Array, Signature

UNANSWERED = "none"
"""The arm of a record whose request nothing could answer."""
SHADOW = "shadow"
"""The arm of a record whose answer was made beside another one and given to nobody: no traffic."""
RECORD_VERSION = 1
RAW_LIMIT_BYTES = 4096
"""Tensors larger than this are kept as shape, dtype and sha256, not as values."""
REDACTED = {"redacted": True}
_TIME, _RECORD, _STALE, _AGE = b"x-portside-time-ms", b"x-portside-record", (b"x-portside-stale", b"true"), b"x-portside-age-ms"
_SAID = "_said"
"""Where a receipt keeps its text: no field, so that nothing but `text` and `to_dict` knows of it."""
_TAILS: list[str] = []
"""Ends of ids, all but their time, made many at a time: a call of the system for each would cost more than all the rest."""
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_TAILS.clear)
_MANY = 256
"""Of them at once."""
_TAIL = len("7xxx-8xxx-xxxxxxxxxxxx")
_PART = tuple(f"{number / 1000:.3f}"[1:].rstrip("0").ljust(2, "0") for number in range(1000))
"""".0", ".001", ...: thousandths as JSON has them."""
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_VARIANTS = np.zeros(128, np.uint8)
_VARIANTS[[*map(ord, _VARIANT)]] = [*map(ord, _VARIANT.values())]


@dataclass(frozen=True, init=False)
class Receipt:
    """Who answered one request, why, and what it cost. One is made per request, so its attributes are set at once, not one by one.

    Attributes:
        model: name of the package (or "cache", "precomputed", "default", an endpoint's URL) that answered.
        version: its package digest, or that of the file of precomputed answers; empty where there is none.
        target: the runtime it ran on, "cache", "precomputed", "endpoint" or "default".
        entry: place in the chain; 0 is the champion, -1 the challenger of a rollout, or nobody.
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

    def __init__(self, model: str, version: str, target: str, entry: int, reason: str, attempts: tuple[str, ...] = (), time_ms: float = 0.0,
                 model_ms: float = 0.0, deadline_ms: float | None = None, within_deadline: bool = True, stale: bool = False,
                 record: str = "", age_ms: float | None = None) -> None:  # fmt: skip
        vars(self).update(model=model, version=version, target=target, entry=entry, reason=reason, attempts=attempts, time_ms=time_ms,
                          model_ms=model_ms, deadline_ms=deadline_ms, within_deadline=within_deadline, stale=stale, record=record,
                          age_ms=age_ms)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; times rounded to a microsecond."""
        data = vars(self).copy()
        data.pop(_SAID, None)
        data["attempts"], data["time_ms"], data["model_ms"] = list(self.attempts), _thousandths(self.time_ms), _thousandths(self.model_ms)
        return data if self.age_ms is None else {**data, "age_ms": round(self.age_ms, 3)}

    def text(self) -> str | None:
        """`to_dict` as compact JSON, with what many receipts share made once; None where it has to be made of `to_dict`.

        Its record is an id of `new_id`, or none: it stands in JSON as it is. The text is kept: the caller's answer and the record hold it.
        """
        kept = vars(self)
        said = kept.get(_SAID)
        if said is not None or type(self) is not Receipt:
            return said
        time_us, model_us = int(self.time_ms * 1e3 + 0.5), int(self.model_ms * 1e3 + 0.5)
        around = _around(self.model, self.version, self.target, self.entry, self.reason, self.attempts, self.deadline_ms,
                         self.within_deadline, self.stale)  # fmt: skip
        if around is None or self.age_ms is not None or time_us < 0 or model_us < 0:
            return None
        head, end = around
        spent = f'{time_us // 1000}{_PART[time_us % 1000]},"model_ms":{model_us // 1000}{_PART[model_us % 1000]}'
        kept[_SAID] = said = f'{head}{spent}{end}{self.record}","age_ms":null}}'
        return said

    def to_headers(self) -> list[tuple[bytes, bytes]]:
        """The receipt as HTTP headers, `x-portside-*`; nothing a caller sent is in them."""
        headers = [*_author_headers(self.model, self.version, self.target, self.reason, self.deadline_ms), (_TIME, b"%.3f" % self.time_ms)]
        if self.record:
            headers.append((_RECORD, self.record.encode("latin-1")))
        if self.stale:
            headers.append(_STALE)
        if self.age_ms is not None:
            headers.append((_AGE, b"%.3f" % self.age_ms))
        return headers


@dataclass(frozen=True)
class Record:
    """One served answer, schema version 1. A label joins later by `id`.

    Attributes:
        id: UUIDv7.
        event_ms: when it happened, said by the caller, else `server_ms`; Unix milliseconds.
        server_ms: when the server answered; Unix milliseconds.
        entity: who or what the request is about.
        package: digest of the package that answered, with `artifact` and `deployment` beside it.
        name: of the deployment.
        arm: "champion", "fallback", "challenger" in a rollout; "shadow": a challenger that was asked beside the champion; "none" where
            nothing could answer: such a record has no outputs.
        propensity: probability with which this arm was chosen.
        selection: probability with which the answer was chosen for review, and `selection_reason` why.
        decided_by: "model", "cache", "default", "none" or an author.
        exposed: the caller was given this answer (a shadow's is not, nor is that of one step of a graph).
        parent: of a step's record, the id of the graph's record; of a shadow's, that of the champion's.
        device, sequence: which device, and its own count of records.
        inputs, outputs: by name; raw values, or what `keep` made of them.
        features: what was used on the way, where the deployment keeps it: {"traits": {"image.brightness": [one per row]},
            "features": {value of that boundary: its rows}, "rollout": {"id", "assigned", "slices": {field: [one text per row]}}}.
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
    name: str = ""
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

    @classmethod
    def quick(cls, **values: Any) -> Record:
        """The same as calling the class with keywords, whose names are not checked: a server makes thousands a second."""
        made = cls.__new__(cls)
        vars(made).update(_BLANK, **values)
        return made

    def changed(self, **values: Any) -> Record:
        """The same with other values, whose names are not checked: `dataclasses.replace` takes eight times as long."""
        made = Record.__new__(Record)
        vars(made).update(vars(self), **values)
        return made

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


_BLANK = vars(Record("", 0, 0))


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
    kind = array.dtype.kind
    usual = kind in "iub" or (kind == "f" and all(map(math.isfinite, array.ravel().tolist())))
    return array.tolist() if usual else _plain(array.tolist())


def new_id() -> str:
    """A UUIDv7 of this moment."""
    global _moment
    now_ms = time.time_ns() // 1_000_000
    moment = _moment
    if moment[0] != now_ms:
        digits = (now_ms & (1 << 48) - 1).to_bytes(6).hex()
        _moment = moment = (now_ms, f"{digits[:8]}-{digits[8:]}-")
    try:
        return moment[1] + _TAILS.pop()
    except IndexError:
        tails = _tails(os.urandom(10 * _MANY))
        _TAILS.extend(tails[1:])
        return moment[1] + tails[0]


_moment = (-1, "")
"""The last millisecond that an id was asked for in, and how its ids begin."""


def _tails(entropy: bytes) -> list[str]:
    """The ends of `_MANY` ids: their version and variant among the random bits of 10 bytes each. Written at once, then cut."""
    digits = np.frombuffer(entropy.hex().encode(), np.uint8).reshape(_MANY, 20)
    made = np.full((_MANY, _TAIL), ord("-"), np.uint8)
    made[:, 0], made[:, 1:4], made[:, 6:9], made[:, 10:] = ord("7"), digits[:, 1:4], digits[:, 5:8], digits[:, 8:]
    made[:, 5] = _VARIANTS[digits[:, 4]]
    text = made.tobytes().decode()
    return [text[place : place + _TAIL] for place in range(0, _MANY * _TAIL, _TAIL)]


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """RFC 9562 UUID version 7: 48 bits of Unix milliseconds, then 74 bits taken from `entropy` (10 bytes)."""
    moment, random = f"{unix_ms & (1 << 48) - 1:012x}", entropy.hex()
    return f"{moment[:8]}-{moment[8:]}-7{random[:3]}-{_VARIANT[random[3]]}{random[4:7]}-{random[7:19]}"


def _thousandths(value: float) -> float:
    """`round(value, 3)` at a tenth of its cost; of two that are equally near it may take the other."""
    return int(value * 1e3 + 0.5) / 1e3


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


@lru_cache(maxsize=1024)
def _around(model: str, version: str, target: str, entry: int, reason: str, attempts: tuple[str, ...], deadline_ms: float | None,
            within_deadline: bool, stale: bool) -> tuple[str, str] | None:  # fmt: skip
    """What stands before a receipt's times in its JSON, and behind them up to its record; None where that is no JSON for everybody."""
    head = {"model": model, "version": version, "target": target, "entry": entry, "reason": reason, "attempts": attempts}
    end = {"deadline_ms": deadline_ms, "within_deadline": within_deadline, "stale": stale}
    try:
        said, told = (json.dumps(part, separators=(",", ":"), ensure_ascii=False, allow_nan=False)[:-1] for part in (head, end))
        said.encode()
    except ValueError:  # a number that is none, half a character
        return None
    return f'{said},"time_ms":', f',{told[1:]},"record":"'


@lru_cache(maxsize=1024)
def _author_headers(model: str, version: str, target: str, reason: str, deadline_ms: float | None) -> list[tuple[bytes, bytes]]:
    """What is the same for many answers."""
    shown = {"model": model, "version": version, "target": target, "reason": reason,
             "budget-ms": "" if deadline_ms is None else f"{deadline_ms:g}"}  # fmt: skip
    return [(f"x-portside-{key}".encode(), _header(value)) for key, value in shown.items() if value]


def _header(value: str) -> bytes:
    if value.isascii() and value.isprintable():
        return value.encode()
    return "".join(char if " " <= char <= "~" else "?" for char in value).encode("latin-1")
