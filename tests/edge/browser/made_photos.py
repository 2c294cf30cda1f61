"""JPEG and WebP of every kind that cameras and programs write, made from a seed, and how such files get damaged."""

from __future__ import annotations

import struct

import numpy as np
import PIL.Image
from made_images import exif, odd_exif, pixels, saved, sides

KINDS = ("4:4:4", "4:2:2", "4:2:0", "progressive", "grey", "cmyk", "bare cmyk", "restarts", "odd exif", "profile", "xmp", "mpo", "webp",
         "webp alpha", "webp lossless", "webp animated")  # fmt: skip
_XMP = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'


def smooth(rng: np.random.Generator, height: int, width: int, channels: int) -> PIL.Image.Image:
    """A gradient: lossy files of it are near it, so that a wrong turn or colour shows."""
    y, x = np.mgrid[0:height, 0:width]
    slope = rng.uniform(-200, 200, (2, channels))
    made = y[:, :, None] / max(height, 2) * slope[0] + x[:, :, None] / max(width, 2) * slope[1] + rng.uniform(60, 200, channels)
    made = made.clip(0, 255).astype(np.uint8)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    return PIL.Image.fromarray(made[:, :, 0] if channels == 1 else made).convert(mode)


def photo(rng: np.random.Generator, kind: str, turn: int) -> bytes:
    """A file of a kind, stored in one of the orientations 1 to 8."""
    image = smooth(rng, *sides(rng, 90), 3)
    if rng.random() < 0.3:
        image = PIL.Image.fromarray(pixels(rng, *sides(rng, 60), 3))
    quality = int(rng.integers(30, 100))
    if kind.startswith("webp"):
        return _webp(rng, kind, turn, image, quality)
    options = {"quality": quality, "exif": odd_exif(rng) if kind == "odd exif" else exif(rng, turn)}
    if kind.startswith("4:"):
        return saved(image, "JPEG", subsampling=kind, **options)
    if kind == "grey":
        return saved(image.convert("L"), "JPEG", **options)
    if kind.endswith("cmyk"):
        file = saved(image.convert("CMYK"), "JPEG", **options)
        return without(file, 0xEE) if kind.startswith("bare") else file
    if kind == "profile":
        return saved(image, "JPEG", icc_profile=profile(), **options)
    if kind == "xmp":
        return saved(image, "JPEG", quality=quality, xmp=_XMP)
    if kind == "mpo":
        return saved(image, "MPO", save_all=True, append_images=[image.rotate(180)], **options)
    return saved(image, "JPEG", progressive=kind == "progressive", restart_marker_blocks=3 if kind == "restarts" else 0, **options)


def _webp(rng: np.random.Generator, kind: str, turn: int, image: PIL.Image.Image, quality: int) -> bytes:
    block = exif(rng, turn)
    if kind == "webp alpha":
        return saved(PIL.Image.fromarray(pixels(rng, *sides(rng, 60), 4)), "WEBP", quality=quality, exif=block)
    if kind == "webp lossless":
        return saved(PIL.Image.fromarray(pixels(rng, *sides(rng, 60), int(rng.choice([3, 4])))), "WEBP", lossless=True, exif=block[6:])
    if kind == "webp animated":
        return saved(image, "WEBP", save_all=True, append_images=[image.rotate(180)], quality=quality, exif=block)
    return saved(image, "WEBP", quality=quality, exif=block, icc_profile=profile() if rng.random() < 0.5 else None)


def profile() -> bytes:
    """A colour profile that swaps nothing but is far from sRGB: its gamma is 1."""
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    points = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141), (0.9642, 1.0, 0.8249)]
    tags = [(name, curve + b"\0\0\0\0") for name in (b"rTRC", b"gTRC", b"bTRC")]
    tags += [(name, b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(part * 65536) for part in point)))
             for name, point in zip((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), points, strict=True)]  # fmt: skip
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags:
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + b"\0" * 12 + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def without(file: bytes, marker: int) -> bytes:
    """A JPEG without the segments of one marker before its pixels."""
    made, place = file[:2], 2
    while file[place + 1] != 0xDA:
        end = place + 2 + struct.unpack_from(">H", file, place + 2)[0]
        made += file[place:end] if file[place + 1] != marker else b""
        place = end
    return made + file[place:]
