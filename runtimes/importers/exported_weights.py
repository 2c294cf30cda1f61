"""Weights of a traced program by content: those that the package has are named, the rest is stored beside the program.

The ONNX exporter keeps most weights as they are, stores some transposed, and folds others into new ones. What is not found
below 1 KiB stands inside the ONNX file itself, and is stored once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save

from ...sdk.core.errors import FormatError, UnsupportedError
from ...sdk.core.signature import Array

_HEAD = 64
"""Numbers of a tensor that are looked at before all of them are compared."""


def located(tensors: Mapping[str, torch.Tensor], weights: bytes) -> tuple[dict[str, dict[str, Any]], bytes]:
    """Where each tensor is.

    Args:
        tensors: by the traced program's names.
        weights: the package's `weights.safetensors`, or nothing.

    Returns:
        name -> {"tensor", "transposed"} in `weights`, and a safetensors file of the rest under their own names.

    Raises UnsupportedError for a dtype that no package holds.
    """
    held = _by_head(load(weights) if weights else {})
    places: dict[str, dict[str, Any]] = {}
    rest: dict[str, Array] = {}
    for name, tensor in tensors.items():
        array = _array(name, tensor)
        if (found := _found(array, held)) is not None:
            places[name] = {"tensor": found[0], "transposed": found[1]}
        else:
            rest[name] = array
    return places, save(dict(sorted(rest.items()))) if rest else b""


def collected(places: Mapping[str, Mapping[str, Any]], weights: bytes, rest: bytes) -> dict[str, torch.Tensor]:
    """The tensors that `located` was given, by name. Raises FormatError for a place that is not there."""
    found = _loaded(rest)
    if doubled := sorted(set(found) & set(places)):
        raise FormatError("A weight of the traced program is there twice", got=doubled[0])
    held = _loaded(weights) if places else {}
    for name, place in places.items():
        array = held.get(place["tensor"])
        if array is None or (place["transposed"] and array.ndim != 2):
            raise FormatError(f"The package's weights lack {place['tensor']!r}, which the traced program reads")
        found[name] = np.ascontiguousarray(array.T) if place["transposed"] else array
    return {name: torch.from_numpy(np.array(array)) for name, array in found.items()}


def _loaded(data: bytes) -> dict[str, Array]:
    try:
        return load(data) if data else {}
    except Exception as error:  # safetensors has one error class, which is none of Python's
        raise FormatError(f"The tensors of the traced program cannot be read: {error}") from error


def _array(name: str, tensor: torch.Tensor) -> Array:
    try:
        plain = tensor.detach().cpu().contiguous().numpy()
    except (TypeError, RuntimeError) as error:
        raise UnsupportedError(f"No package holds the weight {name!r}", got=tensor.dtype) from error
    return plain


def _by_head(held: Mapping[str, Array]) -> dict[tuple[Any, ...], list[tuple[str, Array]]]:
    found: dict[tuple[Any, ...], list[tuple[str, Array]]] = {}
    for name, array in held.items():
        found.setdefault(_head(array), []).append((name, array))
    return found


def _head(array: Array) -> tuple[Any, ...]:
    return array.dtype.str, array.shape, array.flat[:_HEAD].tobytes()


def _found(array: Array, held: Mapping[tuple[Any, ...], list[tuple[str, Array]]]) -> tuple[str, bool] | None:
    for view, transposed in ((array, False), (array.T, True)) if array.ndim == 2 else ((array, False),):
        for name, other in held.get(_head(view), []):
            if _same(view, other):
                return name, transposed
    return None


def _same(one: Array, other: Array) -> bool:
    """Bit by bit: NaN is NaN, and -0 is not 0."""
    bits = f"u{one.dtype.itemsize}"
    return bool(np.array_equal(np.ascontiguousarray(one).view(bits), np.ascontiguousarray(other).view(bits))) if one.ndim else one == other
