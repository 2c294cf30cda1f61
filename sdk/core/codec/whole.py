"""Whether a file is whole: Pillow shows some files that are cut off late or damaged; `docs/codec.md` refuses them.

Only what says where the parts of a file are, and the checksums of PNG, is looked at: no pixels are decoded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from .png import MAX_PARTS, DamagedError, check_png, png_chunks

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))


def check_whole(kind: str | None, data: bytes) -> None:
    """Raise DamagedError for a file of Pillow's format `kind` that is cut off or damaged."""
    if check := _CHECKS.get(kind or ""):
        try:
            check(data)
        except (struct.error, IndexError) as error:
            raise DamagedError(f"the file ends at byte {len(data)}") from error


def jpeg_parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of the segments of a JPEG up to its end; the pixels of a scan are skipped. Raises DamagedError."""
    place = 2
    for _ in range(MAX_PARTS):
        start = _found(_MARKER, data, place)
        kind = data[start + 1]
        if kind == _EOI:
            return
        place = start + 2
        if kind in _BARE:
            continue
        place += max(2, struct.unpack_from(">H", data, place)[0])
        yield kind, data[start + 4 : place]
        if kind == _SOS:
            place = _found(_AFTER_SCAN, data, place)
    raise DamagedError(f"it has more than {MAX_PARTS} parts")


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of the chunks of a WebP, which its decoder has found whole."""
    place = 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        yield name, data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def exif_in(kind: str | None, data: bytes) -> bytes:
    """The EXIF block of a whole file: JPEG's, where further ones continue the first; PNG's last; WebP's first."""
    if kind in ("JPEG", "MPO"):
        blocks = [content for marker, content in jpeg_parts(data) if marker == _APP1 and content.startswith(b"Exif\0\0")]
        return b"".join(block[6:] if place else block for place, block in enumerate(blocks))
    if kind == "PNG":
        return bytes(next((content for name, content in reversed(list(png_chunks(data))) if name == b"eXIf"), b""))
    return next((content for name, content in webp_chunks(data) if name == b"EXIF"), b"") if kind == "WEBP" else b""


def _found(pattern: re.Pattern[bytes], data: bytes, place: int) -> int:
    match = pattern.search(data, place)
    if match is None:
        raise DamagedError(f"the file ends at byte {len(data)}")
    return match.start()


def _jpeg(data: bytes) -> None:
    if _SOS not in [kind for kind, _ in jpeg_parts(data)]:  # to the end: a generator that is left early checks nothing
        raise DamagedError("there are no pixels")


def _gif(data: bytes) -> None:
    """To the end of the first frame."""
    place = 13 + _table(data[10])
    while data[place] != 0x2C:  # an image
        place = _blocks_end(data, place + 2) if data[place] == 0x21 else place + 1
    place += 10 + _table(data[place + 9])
    if not 1 <= data[place] <= 11:
        raise DamagedError("the width of the codes is wrong")
    _blocks_end(data, place + 1)


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


def _blocks_end(data: bytes, place: int) -> int:
    while data[place]:
        place += 1 + data[place]
    return place + 1


_CHECKS: dict[str, Callable[[bytes], None]] = {"PNG": check_png, "JPEG": _jpeg, "MPO": _jpeg, "GIF": _gif}
