"""Images of any size at a program's rim: a padded uint8 canvas and an int32 size per row, which callers never see.

An input `photo` with `canvas=(H, W)` is two inputs of the program: `photo` (batch, H, W, channels) and `photo_size`
(batch, 2), the true (height, width). The padding is zeros at the bottom and the right; the program reads `photo_size`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..sdk.core.errors import InputError
from ..sdk.core.signature import Array, Signature, TensorSpec


def size_name(name: str) -> str:
    """The program's input that holds the true sizes of the canvas `name`."""
    return f"{name}_size"


def canvases(signature: Signature) -> tuple[TensorSpec, ...]:
    """The inputs that are canvases."""
    return tuple(spec for spec in signature.inputs if spec.canvas is not None)


def program_inputs(signature: Signature) -> tuple[str, ...]:
    """Names at the program's rim: the signature's inputs, and a size after each canvas."""
    names: list[str] = []
    for spec in signature.inputs:
        names += [spec.name, size_name(spec.name)] if spec.canvas is not None else [spec.name]
    return tuple(names)


def pad(spec: TensorSpec, images: Array | Sequence[Array]) -> tuple[Array, Array]:
    """The canvas and the sizes of a batch of images for an input with `canvas`; as `to_canvas`."""
    assert spec.canvas is not None  # noqa: S101 - callers take `spec` from `canvases`
    return to_canvas(images, spec.canvas, spec.name)


def to_canvas(images: Array | Sequence[Array], largest: tuple[int, int], name: str) -> tuple[Array, Array]:
    """Pad images with zeros to one canvas.

    Args:
        images: (batch, height, width[, channels]), or one (height, width[, channels]) array per row.
        largest: (height, width) of the canvas.
        name: the input, for messages.

    Returns:
        Canvas (batch, H, W[, channels]) of the images' dtype, and sizes (batch, 2) int32 of (height, width).

    Raises:
        InputError: there are no images, or one does not fit; names the field and the row.
    """
    if not len(images):
        raise InputError("There are no images", field=name)
    if isinstance(images, np.ndarray):
        return _pad_batch(images, largest, name)
    rest = images[0].shape[2:]
    for row, image in enumerate(images):
        _check_shape(image.shape, largest, rest, name, row)
    canvas = np.zeros((len(images), *largest, *rest), dtype=images[0].dtype)
    for row, image in enumerate(images):
        canvas[row, : image.shape[0], : image.shape[1]] = image
    return canvas, np.array([image.shape[:2] for image in images], dtype=np.int32)


def pad_all(specs: Sequence[TensorSpec], values: Mapping[str, Any]) -> dict[str, Array]:
    """`values` with every canvas padded and its size added. A size that is there already is left as it is."""
    padded = dict(values)
    for spec in specs:
        if spec.name in padded and size_name(spec.name) not in padded:
            padded[spec.name], padded[size_name(spec.name)] = pad(spec, values[spec.name])
    return padded


def _pad_batch(images: Array, largest: tuple[int, int], name: str) -> tuple[Array, Array]:
    """Images of one size: nothing is worked out per row."""
    _check_shape(images.shape[1:], largest, images.shape[3:], name, 0)
    rows, height, width = images.shape[:3]
    sizes = np.empty((rows, 2), dtype=np.int32)
    sizes[:, 0], sizes[:, 1] = height, width
    if (height, width) == largest:
        return images, sizes
    canvas = np.zeros((rows, *largest, *images.shape[3:]), dtype=images.dtype)
    canvas[:, :height, :width] = images
    return canvas, sizes


def _check_shape(shape: tuple[int, ...], largest: tuple[int, int], rest: tuple[int, ...], name: str, row: int) -> None:
    if len(shape) < 2 or shape[2:] != rest:
        raise InputError("An image has other axes than the first one", field=name, row=row, got=shape,
                         expected=f"(height, width{''.join(f', {size}' for size in rest)})")  # fmt: skip
    if not (0 < shape[0] <= largest[0] and 0 < shape[1] <= largest[1]):
        raise InputError(
            "An image does not fit the canvas", field=name, row=row, got=f"{shape[0]}x{shape[1]}",
            expected=f"at most {largest[0]}x{largest[1]} (height x width)",
            fix="Scale it down first, or pack with a larger ps.Image(max=...).",
        )  # fmt: skip
