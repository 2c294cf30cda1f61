"""Initial values of state: what a stateful model's memory is before its first call.

`Session.run` fills a state input that the caller leaves out; a caller in the middle of a sequence passes the state output
of the last call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..sdk.core.signature import NUMPY, Array, Signature, StatePair


def with_initial(signature: Signature, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """`inputs` with every absent state input at its initial value, for as many rows as the other inputs have."""
    filled = dict(inputs)
    dimensions = bound_dimensions(signature, inputs)
    for pair in signature.state:
        if pair.input not in filled:
            filled[pair.input] = initial(signature, pair, dimensions)
    return filled


def initial(signature: Signature, pair: StatePair, dimensions: Mapping[str, int]) -> Array:
    """The initial state of `pair`; symbolic dimensions without a value are 1."""
    shape = tuple(size if isinstance(size, int) else dimensions.get(size, 1) for size in pair.shape)
    dtype = NUMPY[signature.input(pair.input).rim_dtype]
    return np.array(np.broadcast_to(np.asarray(pair.initial, dtype=dtype), shape))


def bound_dimensions(signature: Signature, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Symbolic dimension -> its size in `inputs`, where shapes say so."""
    bound: dict[str, int] = {}
    for spec in signature.inputs:
        if spec.name in inputs:
            value = inputs[spec.name]
            shape = (len(value),) if spec.canvas is not None else np.shape(value)
            for symbol, size in zip(spec.shape, shape, strict=False):
                if isinstance(symbol, str):
                    bound.setdefault(symbol, size)
    return bound
