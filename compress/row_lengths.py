"""Rows of different lengths, put together with their like: a batch is padded to its longest row, and the padding is computed too.

The length of a row is that of its texts in characters, which goes with the number of tokens and needs no tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from ..sdk.core.golden import free_dimensions
from ..sdk.core.signature import Array, Signature

POOL = 32
"""Batches whose rows are sorted among each other in training: as few as leave the mixture of a batch to chance."""


def lengths_of(signature: Signature, inputs: Mapping[str, Any]) -> Array | None:
    """(rows,) int64, or None where rows are of one length as the model sees them.

    Args:
        signature: whose inputs have a dimension beside the batch that is free, or not.
        inputs: wire field -> one value per row; texts count.
    """
    texts = [cast("list[str]", list(held)) for held in inputs.values() if _texts(held)] if free_dimensions(signature) else []
    if not texts:
        return None
    return np.array([sum(len(text) for text in row) for row in zip(*texts, strict=True)], dtype=np.int64)


def _texts(held: Any) -> bool:
    return not (isinstance(held, np.ndarray) and held.dtype.kind not in "OU") and all(isinstance(value, str) for value in held)


def shuffled(rows: int, size: int, random: np.random.Generator, lengths: Array | None = None) -> Iterator[Array]:
    """All rows once, in batches of `size`, as chance has it; with lengths, rows of a batch are alike in it.

    Rows are shuffled, every `POOL` batches of them sorted, and the batches of a pool come in any order. The last batch takes what is left.
    """
    order = random.permutation(rows)
    if lengths is None:
        yield from _cut(order, size)
        return
    for pool in _cut(order, POOL * size):
        parts = list(_cut(pool[np.argsort(lengths[pool], kind="stable")], size))
        for place in random.permutation(len(parts)):
            yield parts[place]


def alike(rows: int, size: int, lengths: Array | None = None) -> Iterator[Array]:
    """All rows once, in batches of `size`: as they stand, or with lengths from the shortest to the longest."""
    yield from _cut(np.arange(rows) if lengths is None else np.argsort(lengths, kind="stable"), size)


def _cut(order: Array, size: int) -> Iterator[Array]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
