"""Images of any size as a padded canvas and a size: what a program with `image={...}` reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.signature import Array


def size_name(name: str) -> str:
    """The input that holds the (height, width) of the images in canvas `name`."""
    return f"{name}_size"


def to_canvas(images: Iterable[Any], largest: tuple[int, int], name: str = "image") -> tuple[Array, Array]:
    """Pad images with zeros to one canvas.

    Args:
        images: one (height, width) or (height, width, channels) array each, of any sizes; one array of rows is fine.
        largest: (H, W) of the canvas.
        name: the input, for messages.

    Returns:
        Canvas (batch, H, W[, channels]) of the images' dtype, and sizes (batch, 2) int32 of (height, width).

    Raises:
        InputError: an image is larger than the canvas; names the row.
    """
    rows = [np.asarray(image) for image in images]
    if not rows:
        raise InputError("There is no image", field=name)
    canvas = np.zeros((len(rows), *largest, *rows[0].shape[2:]), rows[0].dtype)
    sizes = np.zeros((len(rows), 2), np.int32)
    for row, image in enumerate(rows):
        if image.ndim < 2 or image.shape[0] > largest[0] or image.shape[1] > largest[1] or image.shape[2:] != canvas.shape[3:]:
            raise InputError(
                "An image does not fit its canvas", field=name, row=row, got=f"shape {image.shape}",
                expected=f"at most {largest[0]} x {largest[1]}", fix="Resize it in the codec, or raise Image(max=...).",
            )  # fmt: skip
        canvas[row, : image.shape[0], : image.shape[1]] = image
        sizes[row] = image.shape[:2]
    return canvas, sizes
