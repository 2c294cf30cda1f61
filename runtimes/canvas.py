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
    """The canvas and the sizes of a batch of images.

    Args:
        spec: an input with `canvas`.
        images: (batch, height, width, channels) uint8, or one (height, width, channels) array per row.

    Raises InputError naming the field and the row of an image that does not fit.
    """
    assert spec.canvas is not None  # noqa: S101 - callers take `spec` from `canvases`
    if not len(images):
        raise InputError("There are no images", field=spec.name)
    sizes = np.array([np.shape(image)[:2] for image in images], dtype=np.int32)
    _check_sizes(spec, spec.canvas, sizes)
    if isinstance(images, np.ndarray) and images.shape[1:3] == spec.canvas:
        return images, sizes
    canvas = np.zeros((len(images), *spec.canvas, *np.shape(images[0])[2:]), dtype=np.uint8)
    if isinstance(images, np.ndarray):
        canvas[:, : images.shape[1], : images.shape[2]] = images
    else:
        for row, image in enumerate(images):
            canvas[row, : image.shape[0], : image.shape[1]] = image
    return canvas, sizes


def pad_all(specs: Sequence[TensorSpec], values: Mapping[str, Any]) -> dict[str, Array]:
    """`values` with every canvas padded and its size added. A size that is there already is left as it is."""
    padded = dict(values)
    for spec in specs:
        if size_name(spec.name) not in padded:
            padded[spec.name], padded[size_name(spec.name)] = pad(spec, values[spec.name])
    return padded


def _check_sizes(spec: TensorSpec, canvas: tuple[int, int], sizes: Array) -> None:
    for row, (height, width) in enumerate(sizes.tolist()):
        if not (0 < height <= canvas[0] and 0 < width <= canvas[1]):
            raise InputError(
                "An image does not fit the canvas", field=spec.name, row=row, got=f"{height}x{width}",
                expected=f"at most {canvas[0]}x{canvas[1]} (height x width)",
                fix="Scale it down first, or pack with a larger ps.Image(max=...).",
            )  # fmt: skip
