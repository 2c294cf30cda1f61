"""What a browser is sent of a part: files as they came, arrays of pixels as PNG, samples as WAV. Pure."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import cast

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.signature import Array
from .payload import NPY, Part, Sound, value_of

SHOWN = ("image/png", "image/jpeg", "image/gif", "image/bmp", "image/webp", "audio/wav", "audio/mpeg", "audio/ogg", "audio/flac")
"""What browsers show; everything else leaves as bytes to be saved."""


def shown(part: Part) -> tuple[bytes, str]:
    """(content, media type). Raises InputError for a part that is not shown as a file."""
    if part.data is None:
        raise InputError("This field is no picture or sound", field=part.field, got=part.kind)
    if part.media != NPY:
        return part.data, part.media if part.media in SHOWN else "application/octet-stream"
    value = value_of(part)
    if isinstance(value, Sound):
        return wav(value), "audio/wav"
    return (png(value), "image/png") if part.kind == "image" else (part.data, NPY)


def wav(sound: Sound) -> bytes:
    """16-bit PCM of one channel. Samples outside [-1, 1] are clipped, as a loudspeaker would; NaN is silence."""
    samples = np.nan_to_num(np.asarray(sound.samples, dtype=np.float32).ravel(), nan=0.0, posinf=1.0, neginf=-1.0)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(sound.rate)
        written.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return file.getvalue()


def png(pixels: Array) -> bytes:
    """A PNG of uint8 pixels (H, W), (H, W, 1), (H, W, 3) or (3, H, W). PNG specification, third edition."""
    array = np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 and pixels.shape[2] not in (1, 3) else pixels
    high, wide = cast("tuple[int, int]", array.shape[:2])
    colours = array.shape[2] if array.ndim == 3 else 1
    lines = np.ascontiguousarray(array).reshape(high, wide * colours)
    filtered = np.concatenate([np.zeros((high, 1), np.uint8), lines], axis=1)  # filter 0 of every line: none
    header = struct.pack(">IIBBBBB", wide, high, 8, 2 if colours == 3 else 0, 0, 0, 0)
    body = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in body)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
