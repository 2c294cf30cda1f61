"""Rules for pixels, in integers: orientation, alpha, grey, and where a picture goes when its aspect ratio differs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..signature import Array

_ORIENT: dict[int, Callable[[Array], Array]] = {
    2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1], 7: lambda a: a.swapaxes(0, 1)[::-1, ::-1], 8: lambda a: a.swapaxes(0, 1)[::-1],
}  # fmt: skip


def oriented(image: Array, orientation: int) -> Array:
    """(h, w, C) upright, by the EXIF orientation that it was stored with; values other than 2 to 8 change nothing."""
    return np.ascontiguousarray(_ORIENT[orientation](image) if orientation in _ORIENT else image)


def to_mode(image: Array, mode: str) -> Array:
    """(h, w, 1 | 2 | 3 | 4) uint8 -> (h, w, 1 | 3): alpha composed on white, then grey from RGB or RGB from grey."""
    if image.shape[2] in (2, 4):
        alpha, colour = image[:, :, -1:].astype(np.uint32), image[:, :, :-1].astype(np.uint32)
        image = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if mode == "RGB":
        return image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)
    if image.shape[2] == 1:
        return image
    red, green, blue = (image[:, :, place].astype(np.uint32) for place in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)[:, :, None]


def cover_box(h: int, w: int, height: int, width: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the centred box of an (h, w) image that has the aspect ratio of (height, width)."""
    if h * width > w * height:
        tall = min(h, max(1, (2 * w * height + width) // (2 * width)))
        return (h - tall) // 2, 0, tall, w
    wide = min(w, max(1, (2 * h * width + height) // (2 * height)))
    return 0, (w - wide) // 2, h, wide


def contain_size(h: int, w: int, height: int, width: int) -> tuple[int, int]:
    """The largest (height, width) of the aspect ratio of (h, w) inside (height, width)."""
    if h * width > w * height:
        return height, min(width, max(1, (2 * w * height + h) // (2 * h)))
    return min(height, max(1, (2 * h * width + w) // (2 * w))), width
