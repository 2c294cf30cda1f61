"""Outputs that somebody says: a default of `agent.toml`, the reply of an endpoint. Held against the signature like inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..sdk.core.door import Door
from ..sdk.core.errors import EngineError, FormatError, InputError, PortsideError
from ..sdk.core.signature import MISSING_CODE, NUMPY, Array, Signature, TensorSpec


class OutputDoor:
    """Reads outputs of one signature as JSON holds them, categories by name."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._door = Door(Signature(tuple(_as_input(spec) for spec in signature.outputs), ()))

    def read(self, said: Mapping[str, Any], rows: int, who: str) -> dict[str, Array]:
        """Outputs for `rows` rows, in the signature's dtypes. Raises EngineError for what does not fit."""
        try:
            coded = {spec.name: _codes(spec, said[spec.name]) for spec in self._signature.outputs}
            arrays = self._door.check(coded).arrays
        except (ValueError, KeyError, TypeError, PortsideError) as error:
            raise EngineError(f"The endpoint's answer does not fit the signature: {error}", got=who) from error
        for spec in self._signature.outputs:
            if spec.batch_axis is not None and arrays[spec.name].shape[spec.batch_axis] != rows:
                raise EngineError(f"The endpoint answered {spec.name!r} for another number of rows", got=who, expected=rows)
        return {spec.name: arrays[spec.name].astype(NUMPY[spec.dtype], copy=False) for spec in self._signature.outputs}


def default_row(values: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    """A default's outputs for one row, in the signature's dtypes. Raises FormatError naming the output at fault."""
    names = [spec.name for spec in signature.outputs]
    if wrong := sorted(set(values) ^ set(names)):
        lacks = "lacks" if wrong[0] in names else "has an unknown"
        raise FormatError(f"The default {lacks} output {wrong[0]!r}", got=", ".join(values), expected=", ".join(names))
    return {spec.name: _default(spec, values[spec.name]) for spec in signature.outputs}


def for_rows(row: Mapping[str, Array], signature: Signature, rows: int) -> dict[str, Array]:
    """A default's answer for `rows` rows."""
    return {
        spec.name: np.array(row[spec.name]) if spec.batch_axis is None else np.repeat(row[spec.name], rows, axis=spec.batch_axis)
        for spec in signature.outputs
    }


def _default(spec: TensorSpec, value: Any) -> Array:
    if isinstance(value, str) and spec.categories and value in spec.categories:
        value = spec.categories.index(value)
    row = value if spec.batch_axis is None else np.expand_dims(np.asarray(value), spec.batch_axis).tolist()
    strict = TensorSpec(spec.name, spec.dtype, spec.shape, spec.batch_axis, range=spec.range, on_range="reject",
                        categories=spec.categories, on_unknown="reject", missing=spec.missing)  # fmt: skip
    try:
        array = Door(Signature((strict,), ())).check({spec.name: row}).arrays[spec.name]
    except InputError as error:
        raise FormatError(f"The default is not an answer the signature allows: {error}") from error
    return array.astype(NUMPY[spec.dtype])


def _as_input(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.dtype, spec.shape, spec.batch_axis, categories=spec.categories, on_unknown="reject", missing=True)


def _codes(spec: TensorSpec, values: Any) -> Any:
    """Names of categories back to codes."""
    if spec.categories is None:
        return values
    table = {name: code for code, name in enumerate(spec.categories)}
    names = np.asarray(values, dtype=object)
    return np.array([table.get(name, MISSING_CODE) for name in names.reshape(-1)], np.int64).reshape(names.shape)
