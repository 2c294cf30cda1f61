"""Rows of data as people look at them: small pictures where an input is an image, else the values in words."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from ..sdk.core.data import Data
from ..sdk.core.errors import PortsideError
from ..sdk.core.package import Package
from ..sdk.core.signature import Array, TensorSpec
from .artifact import Artifact
from .subjects import codec_of

SIDE = 96
"""Pixels of the longer side of a picture."""
_LEAST = 8
_WORDS = 160


def shown(model: Package | Artifact, data: Data, row: int) -> str:
    """One row of the data as HTML: its pictures, else its values. Images are decoded by the model's own codec."""
    wire = data.take([row]).inputs
    try:
        typed: Mapping[str, Any] = codec_of(model).encode(wire)
    except PortsideError as error:
        return escape(str(error)[:_WORDS])
    pictures = [
        _image(np.asarray(typed[spec.name])[0], spec) for spec in model.signature.inputs if spec.name in typed and _pictured(spec)
    ]
    return "".join(pictures) or "<br>".join(f"{escape(name)}: {_words(held)}" for name, held in wire.items())


def png(pixels: Array) -> bytes:
    """(H, W) or (H, W, 3) uint8 as a PNG file (RFC 2083), without filters."""
    height, width = pixels.shape[:2]
    lines = pixels.reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _pictured(spec: TensorSpec) -> bool:
    """Whether rows of an input are images: (H, W), (H, W, 1 or 3) or (1 or 3, H, W), of some size, in numbers of images."""
    shape = tuple(spec.shape)[1:]
    sides = [side for side in shape if side not in (1, 3)]
    large = all(not isinstance(side, int) or side >= _LEAST for side in sides)
    return spec.batch_axis == 0 and spec.dtype in ("u8", "f32") and len(shape) in (2, 3) and len(sides) == 2 and large


def _image(held: Array, spec: TensorSpec) -> str:
    if held.ndim == 3 and held.shape[0] in (1, 3) and held.shape[2] not in (1, 3):
        held = held.transpose(1, 2, 0)
    if held.ndim == 3 and held.shape[2] == 1:
        held = held[:, :, 0]
    step = max(1, -(-max(held.shape[:2]) // SIDE))
    source = base64.b64encode(png(_bytes(held[::step, ::step]))).decode()
    return f"<img alt='{escape(spec.name, quote=True)}' src='data:image/png;base64,{source}'>"


def _bytes(held: Array) -> Array:
    """Grey or colour from 0 to 255; floats are stretched from their least to their greatest."""
    if held.dtype == np.uint8:
        return np.ascontiguousarray(held)
    known = np.nan_to_num(held.astype(np.float64))
    low, high = float(known.min()), float(known.max())
    return ((known - low) * (255 / (high - low) if high > low else 0)).round().astype(np.uint8)


def _words(held: Any) -> str:
    first = held[0]
    if isinstance(first, bytes):
        return f"{len(first)} bytes"
    if isinstance(first, np.ndarray) and first.size > 1:
        numbers = ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in first.ravel()[:8].tolist())
        return escape(f"[{numbers}{', ...' if first.size > 8 else ''}]")
    text = str(first.item() if isinstance(first, np.generic) else first)
    return escape(text[:_WORDS] + ("..." if len(text) > _WORDS else ""))
