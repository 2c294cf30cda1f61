"""Which labelled rows hold pictures that show the same, so that a dataset keeps them on one side of its splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...sdk.core.codec.image import Image
from ...sdk.core.errors import PortsideError
from ...sdk.core.likeness import SIDE, alike, print_of
from ...sdk.core.signature import Array
from .payload import NPY, Part, value_of

_THUMBNAIL = Image(size=(SIDE, SIDE), mode="L")
Prints = Mapping[str, tuple[Array, ...]]
"""Key of a row -> prints of its pictures."""


def prints_of(parts: Iterable[Part]) -> tuple[Array, ...]:
    """Of the pictures among a row's parts, as models see them: turned as they say, whatever their format. Others have none."""
    found = (_print(part) for part in parts if part.kind == "image" and part.data is not None)
    return tuple(held for held in found if held is not None)


def ties(prints: Prints, least: float) -> dict[str, tuple[str, ...]]:
    """What rows share by it: key -> names of the pairs it is in, for `Member.ties`."""
    owners = [key for key, held in prints.items() for _ in held]
    found: dict[str, tuple[str, ...]] = {}
    for one, other in alike([held for every in prints.values() for held in every], least):
        name = f"alike:{owners[one]}"
        for key in (owners[one], owners[other]):
            found[key] = (*found.get(key, ()), name)
    return found


def _print(part: Part) -> Array | None:
    try:
        (grey,) = _THUMBNAIL.encode(part.field, [value_of(part) if part.media == NPY else part.data])
        held = print_of(grey[0])
    except PortsideError:  # it is shown to people all the same
        return None
    return held if held.any() else None
