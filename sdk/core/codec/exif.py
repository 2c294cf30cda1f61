"""The orientation in an EXIF block. A malformed block changes nothing; `docs/codec.md` says what counts."""

from __future__ import annotations

import struct

_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4
_HEAD = b"Exif\0\0"


def orientation_of(block: bytes) -> int:
    """1 to 8 and whatever else the tag holds; 1 where there is none. `block` may start with "Exif" and two zeros."""
    while block.startswith(_HEAD):
        block = block[len(_HEAD) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    try:
        return 1 if order is None else _read(block, order)
    except struct.error:  # shorter than its header says
        return 1


def _read(block: bytes, order: str) -> int:
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    found = 1
    for place in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", block, place)
        if tag == _ORIENTATION and values == 1 and kind in (_SHORT, _LONG):
            (found,) = struct.unpack_from(f"{order}H" if kind == _SHORT else f"{order}I", block, place + 8)
    return found
