"""Entries as what they become here: rows of records, labels, windows, events. Pure, and strict: what a device says is not trusted.

Times are a device's own and may be anything, because clocks in the field are. One that cannot be right is replaced by the time at which
the entry came; what the device said stays in `event_ms`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from ...sdk.core.errors import InputError
from ...sdk.core.labels import Label
from ...sdk.core.profile import Summary
from ...sdk.core.records import RECORD_VERSION, Record
from ...sdk.core.sketch import K, Sketch
from ...sdk.core.window import Window
from ..monitoring.levels import DAY_MS, MINUTE_MS, floor
from ..records.rows import TEXTS, text_of
from ..records.tables import COLUMNS
from .batch import LARGEST, Sent, text, whole
from .devices import Device

RECORDS = ("record", "error", "review", "check")
PAST_MS, AHEAD_MS = 30 * DAY_MS, 5 * MINUTE_MS
MOST_LEVELS = 50
_SCALARS = {"entity": 200, "package": 100, "artifact": 100, "deployment": 100, "name": 200, "arm": 40, "selection_reason": 100,
            "decided_by": 100, "parent": 64}  # fmt: skip
_EMPTY = ("entity", "selection_reason", "parent")


@dataclass(frozen=True)
class Recorded:
    """values: of `records.tables.COLUMNS`."""

    sent: Sent
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Labelled:
    """A label of somebody at the device."""

    sent: Sent
    label: Label


@dataclass(frozen=True)
class Summed:
    """A window of a deployment, whose start is a minute here."""

    sent: Sent
    name: str
    window: Window


@dataclass(frozen=True)
class Happened:
    """Something that happened on the device."""

    sent: Sent
    name: str
    at_ms: int
    data: str


Made: TypeAlias = Recorded | Labelled | Summed | Happened


def made(sent: Sent, device: Device, now_ms: int) -> Made:
    """What an entry becomes. now_ms: when it came. Raises InputError for what cannot be meant, and for what this device may not send."""
    try:
        if sent.kind in RECORDS:
            return _recorded(sent, device, now_ms)
        if sent.kind == "summary":
            return _summed(sent, device, now_ms)
        if sent.kind == "label":
            return Labelled(sent, _label(sent, device))
        if sent.kind == "event":
            said = {"at_ms": now_ms, **sent.body}
            return Happened(sent, text(said, "name", 100), placed(whole(said, "at_ms", -LARGEST), now_ms), text_of(dict(sent.body)))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"The entry cannot be read: {type(error).__name__}", field="body") from error
    raise InputError("There is no such kind of entry", field="kind", got=sent.kind[:40], expected="record, error, review, check, ...")


def placed(at_ms: int, now_ms: int) -> int:
    """When something happened as far as can be believed.

    >>> placed(50_000, 60_000), placed(-5, 1 << 50) == 1 << 50
    (50000, True)
    """
    return at_ms if now_ms - PAST_MS <= at_ms <= now_ms + AHEAD_MS else now_ms


def _recorded(sent: Sent, device: Device, now_ms: int) -> Recorded:
    """A record as a row. Its device, number and id are the batch's, whatever it says of them."""
    given = Record.from_dict({"server_ms": now_ms, "event_ms": now_ms, **sent.body, "id": sent.id})
    body: dict[str, Any] = vars(given)
    for name, most in _SCALARS.items():
        if body[name] or name == "name":
            text(body, name, most)
        elif body[name] is not None and (body[name] != "" or name in _EMPTY):
            raise InputError("This is no text", field=name)
    if body["version"] != RECORD_VERSION or type(body["exposed"]) is not bool:
        raise InputError("This is no record of this version", field="version", got=str(body["version"])[:20], expected=RECORD_VERSION)
    _allow(device, given.name)
    checked = replace(given, device=device.id, sequence=sent.sequence, server_ms=placed(whole(body, "server_ms", -LARGEST), now_ms),
                      event_ms=whole(body, "event_ms", -LARGEST), propensity=_share(body, "propensity"),
                      selection=_share(body, "selection"))  # fmt: skip
    values = {**vars(checked), "flags": [dict(_mapping(flag, "flags")) for flag in checked.flags]}
    for name in TEXTS:
        values[name] = text_of(values[name] if name == "flags" else dict(_mapping(values[name], name)))
    return Recorded(sent, tuple(values[name] for name in COLUMNS))


def _label(sent: Sent, device: Device) -> Label:
    """A label; whoever said it did so at this device."""
    said = dict(sent.body)
    author = text({"author": said.get("author") or device.id, **said}, "author", 100)
    values = dict(_mapping(said.get("values"), "values"))
    return Label(sent.id, text(said, "record", 64), whole({"row": 0, **said}, "row"), values, author, whole(said, "at_ms", -LARGEST),
                 "person", str(said.get("note", ""))[:2000].replace("\0", ""))  # fmt: skip


def _summed(sent: Sent, device: Device, now_ms: int) -> Summed:
    name = text(sent.body, "name", 200)
    _allow(device, name)
    data = _mapping(sent.body.get("window"), "window")
    held = Window.from_dict(data)
    _check_window(held)
    start = floor("minute", placed(held.start_ms, now_ms))
    return Summed(sent, name, replace(held, deployment=name, start_ms=start, end_ms=start + MINUTE_MS))


def _allow(device: Device, name: str) -> None:
    if not device.allows(name):
        raise InputError(
            "This device is not for this deployment", field="name", got=name[:100], expected=", ".join(device.deployments)[:200]
        )


def _check_window(held: Window) -> None:
    """Raise InputError unless a window holds what windows hold: what monitors merge is not spoilt by one device."""
    for name in ("requests", "rows", "late"):
        whole(vars(held), name)
    whole(vars(held), "start_ms", -LARGEST)
    for counts in (held.answers, held.arms, held.flags, held.errors, *_mapping(held.classes, "classes").values()):
        _check_counts(counts)
    for sketch in (held.latency, held.model_latency, held.confidence):
        _check_sketch(sketch)
    for summary in held.profile.fields.values():
        _check_summary(summary)
    if held.quality:
        raise InputError("A device does not judge its answers", field="window.quality", fix="Send labels.")
    for part in held.slices.values():
        if part.slices:
            raise InputError("Slices have no slices", field="window.slices")
        _check_window(part)


def _check_summary(held: Summary) -> None:
    for name in ("count", "missing", "finite", "rows"):
        whole(vars(held), name)
    ends = (held.low, held.high) if held.finite else ()
    _check_numbers((held.mean, held.m2, *ends))
    if held.m2 < 0 or held.finite > held.count or (held.finite and held.low > held.high):
        raise InputError("A summary contradicts itself", field="window.profile")
    _check_counts(held.categories)
    _check_sketch(held.sketch)


def _check_sketch(held: Sketch) -> None:
    whole({"over": held.over}, "over")
    whole({"under": held.under}, "under")
    if len(held.levels) > MOST_LEVELS or any(level.ndim != 1 or len(level) > K for level in held.levels):
        raise InputError("This is no sketch", field="window.profile", expected=f"at most {MOST_LEVELS} levels of {K}")
    for level in held.levels:
        _check_numbers(level.tolist())


def _check_counts(counts: Any) -> None:
    for name, count in _mapping(counts, "window").items():
        text({"name": name or "-"}, "name", 400)
        whole({"count": count}, "count")


def _check_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError("This is no number", field="window.profile", got=str(value)[:40])


def _share(data: Mapping[str, Any], name: str) -> float:
    _check_numbers([data[name]])
    if not 0 <= data[name] <= 1:
        raise InputError("This is no probability", field=name, got=data[name])
    return float(data[name])


def _mapping(held: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(held, Mapping):
        raise InputError("This is no object", field=name, got=type(held).__name__)
    return cast("Mapping[str, Any]", held)
