"""What a chain needs around the failover policy, on a server as on a device: rows of a request, defaults, words for errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from .door import Door
from .errors import EngineError, FormatError, InputError
from .failover import Outcome
from .signature import NUMPY, Array, Signature, TensorSpec


def default_row(values: Mapping[str, Any], signature: Signature, what: str = "The default") -> dict[str, Array]:
    """A default's outputs for one row, in the signature's dtypes. Raises FormatError naming the output at fault, beginning with `what`."""
    names = [spec.name for spec in signature.outputs]
    if wrong := sorted(set(values) ^ set(names)):
        lacks = "lacks" if wrong[0] in names else "has an unknown"
        raise FormatError(f"{what} {lacks} output {wrong[0]!r}", got=", ".join(values), expected=", ".join(names))
    return {spec.name: _default(spec, values[spec.name], what) for spec in signature.outputs}


def default_outputs(row: Mapping[str, Array], signature: Signature, rows: int) -> dict[str, Array]:
    """A default's answer for `rows` rows; the caller's own arrays."""
    return {
        spec.name: np.array(row[spec.name]) if spec.batch_axis is None else np.repeat(row[spec.name], rows, axis=spec.batch_axis)
        for spec in signature.outputs
    }


def rows_of(arrays: Mapping[str, Any], signature: Signature) -> int:
    """How many rows a request has: the length of the batch axis, 1 where no input has one."""
    for spec in signature.inputs:
        value = arrays.get(spec.name)
        if value is not None and spec.batch_axis is not None:
            return len(value) if isinstance(value, list) else int(value.shape[spec.batch_axis])
    return 1


def reason_of(error: Exception) -> Outcome:
    """The policy's word for an error of an entry."""
    if isinstance(error, EngineError):
        return cast("Outcome", {"cancelled": "deadline", "closed": "crashed"}.get(error.reason, error.reason))
    return "failed"


def _default(spec: TensorSpec, value: Any, what: str) -> Array:
    """One output, held against its spec by the same door that inputs pass."""
    if isinstance(value, str) and spec.categories and value in spec.categories:
        value = spec.categories.index(value)
    row = value if spec.batch_axis is None else np.expand_dims(np.asarray(value), spec.batch_axis).tolist()
    strict = TensorSpec(spec.name, spec.dtype, spec.shape, spec.batch_axis, range=spec.range, on_range="reject",
                        categories=spec.categories, on_unknown="reject", missing=spec.missing)  # fmt: skip
    try:
        array = Door(Signature((strict,), ())).check({spec.name: row}).arrays[spec.name]
    except InputError as error:
        raise FormatError(f"{what} is not an answer the signature allows: {error}") from error
    return array.astype(NUMPY[spec.dtype])
