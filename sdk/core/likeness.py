"""Pictures that show the same, however they were saved: small grey thumbnails whose correlation is near 1. Pure.

A picture that was saved anew, at another size, compression or brightness, keeps its thumbnail; one that was cut or turned does not.
Measured on the solar cells of `elpv-dataset`, which look much alike: saved anew as JPEG, made smaller or darker, 200 of them correlate with
themselves by 0.9989 or more; of 2,624 different ones 7 pairs do by 0.998, which lie within three places of each other, and none by 0.999.

    >>> rows = np.arange(16, dtype=np.uint8).reshape(4, 4)
    >>> alike([print_of(rows), print_of(rows + 9), print_of(rows.T)], 0.99)
    [(0, 1)]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .signature import Array

SIDE = 32
"""Of a thumbnail, in pixels."""
NEAR = 0.998
"""A correlation from which pictures are taken to show the same."""
BLOCK = 1024


def print_of(grey: Array) -> Array:
    """What a thumbnail is compared by: (H * W,) float32 of mean 0 and length 1, or all 0 where nothing is seen. `grey`: (H, W) numbers."""
    values = np.asarray(grey, np.float32).ravel()
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 * values.size else np.zeros_like(values)


def alike(prints: Sequence[Array], least: float = NEAR) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of prints of one size whose correlation is `least` or more. Time grows with the square of their number:
    0.4 s for 2,600 and some two minutes for 50,000 on one core."""
    if not prints:
        return []
    held, found = np.stack(prints), list[tuple[int, int]]()
    for start in range(0, len(held), BLOCK):
        block = held[start : start + BLOCK]
        for other in range(start, len(held), BLOCK):
            one, two = np.nonzero(block @ held[other : other + BLOCK].T >= least)
            pairs = zip((one + start).tolist(), (two + other).tolist(), strict=True)
            found += [(first, second) for first, second in pairs if first < second]
    return found
