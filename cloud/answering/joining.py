"""Putting the inputs of several calls into one batch, and taking its outputs apart again.

Only along a batch axis that every input and every output has; images of different sizes stay a list, which the session
pads. What has a free dimension beside the batch (a sequence of words) is joined only where its sizes are equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import accumulate
from typing import Any, cast

import numpy as np

from ...sdk.core.errors import EngineError
from ...sdk.core.signature import Array, Signature, TensorSpec


class Joiner:
    """The batches of one signature. `can` is False where calls cannot be joined at all.

    Args:
        signature: of the model.
        taps: values that come beside the outputs; those with rows in front are split as well, others belong to no call and are left out.
    """

    def __init__(self, signature: Signature, taps: Sequence[str] = ()) -> None:
        self._taps = tuple(taps)
        self._inputs = [(spec.name, spec.batch_axis, spec.canvas is not None) for spec in signature.inputs]
        self._outputs = [(spec.name, spec.batch_axis) for spec in signature.outputs]
        batched = all(spec.batch_axis is not None and spec.shape for spec in (*signature.inputs, *signature.outputs))
        self.can = batched and bool(signature.inputs) and not signature.state
        self._free = [(spec.name, cast("int", spec.batch_axis)) for spec in signature.inputs if self.can and _is_open(spec)]

    def kind(self, arrays: Mapping[str, Any]) -> Hashable:
        """Equal for calls that can be one batch: the sizes that the signature leaves open, and which inputs there are."""
        if not self._free and len(arrays) == len(self._inputs):
            return ()
        sizes = tuple(_trailing(arrays[name], axis) for name, axis in self._free if name in arrays)
        return (tuple(arrays), sizes)

    def measure(self, arrays: Mapping[str, Any]) -> tuple[int, int]:
        """(rows, bytes) of a call's inputs."""
        rows, size = 1, 0
        for name, axis, _ in self._inputs:
            value = arrays.get(name)
            if value is None:
                continue
            if isinstance(value, list):
                rows, size = len(cast("list[Array]", value)), size + sum(array.nbytes for array in cast("list[Array]", value))
            else:
                size += value.nbytes
                if axis is not None:
                    rows = value.shape[axis]
        return rows, size

    def join(self, calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One batch of the calls' inputs, in their order."""
        first = calls[0]
        return {name: _joined([call[name] for call in calls], cast("int", axis), canvas)
                for name, axis, canvas in self._inputs if name in first}  # fmt: skip

    def split(self, outputs: Mapping[str, Array], rows: Sequence[int]) -> list[dict[str, Array]]:
        """The outputs of each call, copied so that none holds the whole batch in memory.

        Raises EngineError where an output does not have as many rows as went in.
        """
        total, parts = sum(rows), [dict[str, Array]() for _ in rows]
        for name, axis in self._outputs:
            array = outputs[name]
            if array.shape[cast("int", axis)] != total:
                raise EngineError(f"The output {name!r} of a batch has other rows than went in", got=array.shape, expected=total)
            at = 0
            for part, count in zip(parts, rows, strict=True):
                place = slice(at, at + count)
                part[name] = (array[place] if axis == 0 else array[(slice(None),) * cast("int", axis) + (place,)]).copy()
                at += count
        if self._taps:
            self._split_taps(outputs, rows, parts)
        return parts

    def _split_taps(self, outputs: Mapping[str, Array], rows: Sequence[int], parts: list[dict[str, Array]]) -> None:
        ends = list(accumulate(rows))
        for name in self._taps:
            array = outputs[name]
            if array.ndim and len(array) == ends[-1]:
                for part, count, end in zip(parts, rows, ends, strict=True):
                    part[name] = array[end - count : end].copy()


def _is_open(spec: TensorSpec) -> bool:
    """A dimension beside the batch is free, and it is no image that the session pads."""
    return spec.canvas is None and any(isinstance(size, str) for axis, size in enumerate(spec.shape) if axis != spec.batch_axis)


def _trailing(array: Array, axis: int) -> tuple[int, ...]:
    return (*array.shape[:axis], *array.shape[axis + 1 :])


def _joined(values: list[Any], axis: int, canvas: bool) -> Any:
    """Arrays along their batch axis; images of different sizes as one list."""
    if canvas and (any(isinstance(value, list) for value in values) or len({_trailing(value, axis) for value in values}) > 1):
        return [image for value in values for image in (value if isinstance(value, list) else list(np.moveaxis(value, axis, 0)))]
    return np.concatenate(values, axis=axis)
