"""Resizing of 8-bit images by a triangle filter, in integers: every implementation gets the same bytes.

The filter is the antialiased bilinear one of Pillow and torchvision (within one level of both). Its weights are
rationals; here they are rounded to multiples of 2**-15 by integer arithmetic and their sum is made exactly 1, so that
the two passes are exact and their order does not matter. The only rounding of pixels is the last step.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..signature import Array

BITS = 15
ONE = 1 << BITS


@lru_cache(maxsize=16)
def taps(size: int, out: int) -> tuple[tuple[int, Array], ...]:
    """Per output position: the first source position and the integer weights, which sum to 2**15.

    With n source and m output positions, weight j of output i is proportional to
    max(0, 2*max(n, m) - |m*(2j+1) - n*(2i+1)|).
    """
    return tuple(_taps_of(size, out, place) for place in range(out))


def _taps_of(size: int, out: int, place: int) -> tuple[int, Array]:
    reach, centre = 2 * max(size, out), size * (2 * place + 1)
    first = max(0, (centre - reach) // (2 * out) - 1)
    last = min(size, (centre + reach) // (2 * out) + 2)
    source = np.arange(first, last, dtype=np.int64)
    raw = np.maximum(0, reach - np.abs(out * (2 * source + 1) - centre))
    inside = np.flatnonzero(raw)
    first, raw = first + int(inside[0]), raw[inside[0] : inside[-1] + 1]
    total = int(raw.sum())
    weights = (2 * ONE * raw + total) // (2 * total)
    weights[int(weights.argmax())] += ONE - int(weights.sum())  # the first of the largest takes the remainder
    return first, weights


def resize(image: Array, height: int, width: int) -> Array:
    """(h, w, C) uint8 -> (height, width, C) uint8. The same size returns the same pixels."""
    if image.shape[:2] == (height, width):
        return image
    if height * image.shape[1] > image.shape[0] * width:  # the smaller of the two intermediate pictures
        return resize(image.swapaxes(0, 1), width, height).swapaxes(0, 1)
    rows = _along_rows(image, height).transpose(1, 0, 2)
    sums = _along_rows(rows, width).transpose(1, 0, 2)
    return ((sums.astype(np.int64) + (1 << (2 * BITS - 1))) >> (2 * BITS)).astype(np.uint8)


def _along_rows(image: Array, out: int) -> Array:
    """Weighted sums along axis 0 as float64: integers below 2**38, hence exact in any order."""
    flat = np.ascontiguousarray(image).reshape(image.shape[0], -1)
    result = np.empty((out, flat.shape[1]), np.float64)
    for place, (first, weights) in enumerate(taps(image.shape[0], out)):
        result[place] = weights.astype(np.float64) @ flat[first : first + len(weights)].astype(np.float64)
    return result.reshape(out, *image.shape[1:])
