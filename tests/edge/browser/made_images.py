"""Pictures of every kind that a codec has to read, made from a seed: what Pillow writes, and what it does not write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
PNG_KINDS = ((0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16))
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def pixels(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """uint8 (height, width, channels): a gradient with noise and a box, so that filters, palettes and scans all have work."""
    y, x = np.mgrid[0:height, 0:width]
    base = (x * rng.uniform(0, 8) + y * rng.uniform(0, 8))[:, :, None] + rng.uniform(0, 255, channels)
    noisy = base + rng.normal(0, rng.choice([0, 3, 60]), (height, width, channels))
    noisy[height // 3 : height // 2, width // 4 : width // 2] = rng.uniform(0, 255, channels)
    return (noisy % 256).astype(np.uint8)


def sides(rng: np.random.Generator, most: int = 40) -> tuple[int, int]:
    """(height, width), now and then of one pixel."""
    height, width = (int(side) for side in rng.integers(1, most, 2))
    return (1 if rng.random() < 0.1 else height), (1 if rng.random() < 0.1 else width)


def saved(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(rng: np.random.Generator, value: int, kind: int = 3, count: int = 1) -> bytes:
    """A block with the orientation between two other tags, in either byte order."""
    order = rng.choice(["<", ">"])
    short, long = f"{order}H", f"{order}I"
    packed = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(long, value)
    tags = [(0x010F, 2, 3, b"ab\0\0"), (0x0112, kind, count, packed), (0x0213, 3, 1, struct.pack(f"{order}HH", 1, 0))]
    entries = b"".join(struct.pack(f"{order}HHI", tag, held, number) + content for tag, held, number, content in tags)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + start + struct.pack(long, 8) + struct.pack(short, len(tags)) + entries + struct.pack(long, 0)


def odd_exif(rng: np.random.Generator) -> bytes:
    """A block that is cut off, pointless or of another kind; it must change nothing but never fail either."""
    whole = exif(rng, int(rng.integers(2, 9)))
    return [
        whole[: int(rng.integers(6, len(whole)))],
        b"Exif\0\0" + rng.bytes(30),
        exif(rng, int(rng.choice([0, 9, 77, 65535]))),
        exif(rng, 6, kind=2),
        exif(rng, 6, count=2),
        exif(rng, 6, count=0),
        exif(rng, 6, kind=4),
        b"Exif\0\0",
    ][int(rng.integers(8))]


def chunk(name: bytes, content: bytes) -> bytes:
    """Length, name, content, checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rng: np.random.Generator, colour: int, depth: int, interlaced: bool, *, clear: bool = False, block: bytes | None = None) -> bytes:
    """A PNG of random samples with a random filter in each row, in one or several IDAT."""
    height, width = sides(rng)
    samples = rng.integers(0, 1 << depth, (height, width, SAMPLES[colour]))
    colours = 1 << depth if colour == 3 else 0
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_filtered(rng, samples[top::down, left::across], depth) for left, top, across, down in passes)
    packed = zlib.compress(rows, int(rng.integers(0, 10)))
    cut = int(rng.integers(0, len(packed)))
    parts = [packed] if rng.random() < 0.5 else [packed[:cut], b"", packed[cut:]]
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    made += chunk(b"gAMA", struct.pack(">I", 30000)) + (chunk(b"PLTE", rng.bytes(3 * colours)) if colours else b"")
    made += chunk(b"tRNS", _key(rng, samples, colour, colours)) if clear and colour in (0, 2, 3) else b""
    made += chunk(b"eXIf", block) if block is not None else b""
    return made + b"".join(chunk(b"IDAT", part) for part in parts) + chunk(b"IEND", b"")


def _key(rng: np.random.Generator, samples: np.ndarray, colour: int, colours: int) -> bytes:
    return rng.bytes(int(rng.integers(1, colours + 1))) if colour == 3 else struct.pack(f">{SAMPLES[colour]}H", *samples[0, 0].tolist())


def _filtered(rng: np.random.Generator, samples: np.ndarray, depth: int) -> bytes:
    if 0 in samples.shape:
        return b""
    rows = [_packed(row.ravel(), depth) for row in samples]
    step = max(1, depth * samples.shape[2] // 8)
    made, above = b"", np.zeros(len(rows[0]), np.int64)
    for row in rows:
        kind = int(rng.integers(0, 5))
        left, corner = (np.concatenate([np.zeros(step, np.int64), held])[: len(row)] for held in (row, above))
        made += bytes([kind]) + ((row - _predicted(kind, left, above, corner)) % 256).astype(np.uint8).tobytes()
        above = row
    return made


def _packed(row: np.ndarray, depth: int) -> np.ndarray:
    if depth == 16:
        return np.stack([row >> 8, row & 255], 1).ravel()
    bits = (row[:, None] >> np.arange(depth)[::-1]) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).astype(np.int64)


def _predicted(kind: int, left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    guess = left + above - corner
    near = [np.abs(guess - held) for held in (left, above, corner)]
    paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], above, corner))
    return [np.zeros_like(left), left, above, (left + above) // 2, paeth][kind]


def bmp(rng: np.random.Generator) -> bytes:
    """A BMP that Pillow does not write: old header, few bits, 16 bits, bit fields, rows from the top, run lengths."""
    height, width = sides(rng)
    kind = str(rng.choice(["1", "4", "8", "16", "565", "32", "rgba", "argb", "old", "rle8", "rle4"]))
    bits = {"565": 16, "rgba": 32, "argb": 32, "old": int(rng.choice([4, 8, 24])), "rle8": 8, "rle4": 4}.get(kind) or int(kind)
    colours = int(rng.integers(3, 1 << bits)) if bits in (4, 8) and kind != "old" else 1 << bits if bits <= 8 else 0
    line = (width * bits + 31) // 32 * 4
    body = _runs(rng, height, width, kind) if kind.startswith("rle") else rng.bytes(line * height)
    table = rng.bytes(colours * (3 if kind == "old" else 4))
    if kind == "old":
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        masks = {"565": (0xF800, 0x7E0, 0x1F), "rgba": (0xFF, 0xFF00, 0xFF0000, 0xFF000000), "argb": (0xFF000000, 0xFF0000, 0xFF00, 0xFF)}
        packing = {"rle8": 1, "rle4": 2}.get(kind, 3 if kind in masks else 0)
        size = 56 if kind in ("rgba", "argb") else 40
        tall = -height if packing in (0, 3) and rng.random() < 0.3 else height
        head = struct.pack("<IiiHHIIiiII", size, width, tall, 1, bits, packing, len(body), 0, 0, colours if colours < 1 << bits else 0, 0)
        head += struct.pack("<4I" if size == 56 else "<3I", *masks[kind]) if kind in masks else b""
    start = 14 + len(head) + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + table + body


def _runs(rng: np.random.Generator, height: int, width: int, kind: str) -> bytes:
    """Run lengths, bare stretches, a jump now and then; each row ends by itself."""
    made = b""
    for _ in range(height):
        left = width
        while left > 0:
            count = int(rng.integers(1, min(left, 255) + 1))
            if count >= 3 and rng.random() < 0.4:
                content = rng.bytes(count if kind == "rle8" else (count + 1) // 2)
                made += bytes([0, count]) + content + b"\0" * (len(content) % 2)
            elif count < 200 and rng.random() < 0.1:
                made += bytes([0, 2, count, 0])
            else:
                made += bytes([count]) + rng.bytes(1)
            left -= count
        made += b"\0\0"
    return made + b"\0\1"
