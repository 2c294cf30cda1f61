"""Which release a device is to run. Pure.

The most exact word counts: one for this very device, then the one that names most of its labels; of two as exact the newer one, and of two
as new the one whose selector comes first, so that every server says the same.

    >>> words = [Desired("", "sha256:1", 1), Desired("site=north", "sha256:2", 2), Desired("device:cam-7", "sha256:3", 3)]
    >>> [desired(device, {"site": "north"}, words) for device in ("cam-1", "cam-7")]
    ['sha256:2', 'sha256:3']
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...sdk.core.errors import InputError

ONE = "device:"


@dataclass(frozen=True)
class Desired:
    """selector: "device:ID", or labels as "site=north,line=2", "" for every device. release: a digest. at_ms: when it was said."""

    selector: str
    release: str
    at_ms: int = 0


def desired(device: str, labels: Mapping[str, str], words: Iterable[Desired]) -> str | None:
    """The release; None where no word is for this device."""
    meant = [word for word in words if matches(word.selector, device, labels)]
    meant.sort(key=lambda word: word.selector)
    return max(meant, key=lambda word: (_exact(word.selector), word.at_ms)).release if meant else None


def before(device: str, labels: Mapping[str, str], said: Sequence[Desired]) -> str | None:
    """The release that a device was to run before the one that it is to run now; None: there was no other.

    said: all that was ever said, the oldest first; one whose release is "" takes its selector's word back.

    >>> before("cam-1", {}, [Desired("", "a"), Desired("", "b", 1), Desired("device:cam-1", "c", 2), Desired("device:cam-1", "", 3)])
    'c'
    """
    now, runs = dict[str, Desired](), list[str]()
    for word in said:
        now[word.selector] = word
        found = desired(device, labels, (held for held in now.values() if held.release))
        if found is not None and runs[-1:] != [found]:
            runs.append(found)
    return runs[-2] if len(runs) > 1 else None


def matches(selector: str, device: str, labels: Mapping[str, str]) -> bool:
    """Whether a selector means this device."""
    if selector.startswith(ONE):
        return selector[len(ONE) :] == device
    return all(labels.get(name) == value for name, value in pairs(selector).items())


def pairs(selector: str) -> dict[str, str]:
    """The labels of a selector. Raises InputError."""
    found = dict[str, str]()
    for part in filter(None, selector.split(",")):
        name, equals, value = part.partition("=")
        if not (name and equals and value) or found.get(name, value) != value:
            raise InputError("This selects no devices", field="selector", got=selector[:100], expected="device:ID, or name=value,...")
        found[name] = value
    return found


def _exact(selector: str) -> tuple[bool, int]:
    return (True, 0) if selector.startswith(ONE) else (False, len(pairs(selector)))
