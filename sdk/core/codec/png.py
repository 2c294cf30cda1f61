"""The parts of a PNG, and whether it is whole: checksums, order, and as many rows as its header says. No pixels are made."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_STEP = 1 << 20
MAX_PARTS = 65_536
"""Chunks or segments of one file: more are refused, so that a file of nothing but their heads costs little."""


class DamagedError(ValueError):
    """A file that is cut off or damaged."""


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(name, content) of the chunks, the last one too. Raises DamagedError for a wrong checksum, struct.error at the end of the file."""
    place, view = 8, memoryview(data)
    for _ in range(MAX_PARTS):
        length, name = struct.unpack_from(">I4s", data, place)
        (told,) = struct.unpack_from(">I", data, place + 8 + length)
        if zlib.crc32(view[place + 4 : place + 8 + length]) != told:
            raise DamagedError(f"the checksum of {name!r} is wrong")
        yield name, view[place + 8 : place + 8 + length]
        if name == b"IEND":
            return
        place += 12 + length
    raise DamagedError(f"it has more than {MAX_PARTS} parts")


def check_png(data: bytes) -> None:
    """Raise DamagedError for a file that is cut off or damaged."""
    chunks = list(png_chunks(data))
    names = [name for name, _ in chunks]
    first = names.index(b"IDAT") if b"IDAT" in names else len(names)
    if names[0] != b"IHDR" or b"IDAT" not in names or b"PLTE" in names[first:] or b"tRNS" in names[first:]:
        raise DamagedError("its parts are missing or out of order")
    size = _packed_size(bytes(chunks[0][1]), b"PLTE" in names)
    _check_stream((content for name, content in chunks if name == b"IDAT"), size)


def _packed_size(header: bytes, palette: bool) -> int:
    """Bytes of the rows with their filters."""
    width, height, depth, colour, packing, filters, interlaced = struct.unpack(">IIBBBBB", header)
    if not width or not height or depth not in _DEPTHS.get(colour, ()) or packing or filters or interlaced > 1:
        raise DamagedError("the header is malformed")
    if colour == 3 and not palette:
        raise DamagedError("there is no palette")
    size = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        wide, tall = -(-max(0, width - left) // across), -(-max(0, height - top) // down)
        size += tall * (1 + (wide * depth * _SAMPLES[colour] + 7) // 8) if wide else 0
    return size


def _check_stream(parts: Iterator[memoryview], size: int) -> None:
    stream = zlib.decompressobj()
    try:
        for part in parts:
            rest: bytes | memoryview = part
            while len(rest) and size >= 0:
                if stream.eof:
                    raise DamagedError("there is more behind the pixels")
                size -= len(stream.decompress(rest, _STEP))
                rest = stream.unconsumed_tail or stream.unused_data
        while size >= 0 and not stream.eof and (some := stream.decompress(stream.unconsumed_tail, _STEP)):
            size -= len(some)
    except zlib.error as error:
        raise DamagedError(f"the compressed pixels are damaged: {error}") from error
    if size or not stream.eof:
        raise DamagedError("the pixels are cut off, or there is more behind them")
