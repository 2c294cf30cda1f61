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
