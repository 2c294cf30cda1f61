"""Rows of different lengths, put together with their like: a batch is padded to its longest row, and the padding is computed too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..sdk.core.data import take_rows
from ..sdk.core.golden import free_dimensions
from ..sdk.core.signature import Array, Signature

Encode: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
POOL = 32
"""Batches whose rows are sorted among each other in training: as few as leave the mixture of a batch to chance."""


def lengths_of(signature: Signature, encode: Encode, inputs: Mapping[str, Any]) -> Array | None:
    """(rows,) int64: how long each row is as the model sees it, in tokens; None where no field is a text, or all are of one length.

    Args:
        signature: of the model; its inputs have a dimension beside the batch that is free, or not.
        encode: what makes its typed inputs, as a codec does; called row by row.
        inputs: wire field -> one value per row.
    """
    free = [dimension[0] for dimension in free_dimensions(signature).values()]
    if not free or not any(_texts(held) for held in inputs.values()):
        return None
    rows = len(next(iter(inputs.values())))
    typed = (encode({name: take_rows(held, np.array([row])) for name, held in inputs.items()}) for row in range(rows))
    return np.array([sum(np.shape(held[spec.name])[axis] for spec, axis in free) for held in typed], dtype=np.int64)


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
