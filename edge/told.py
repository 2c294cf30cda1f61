"""Outputs that an endpoint says: its reply, held against the signature like inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..sdk.core.door import Door
from ..sdk.core.errors import EngineError, PortsideError
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


def _as_input(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.dtype, spec.shape, spec.batch_axis, categories=spec.categories, on_unknown="reject", missing=True)


def _codes(spec: TensorSpec, values: Any) -> Any:
    """Names of categories back to codes."""
    if spec.categories is None:
        return values
    table = {name: code for code, name in enumerate(spec.categories)}
    names = np.asarray(values, dtype=object)
    return np.array([table.get(name, MISSING_CODE) for name in names.reshape(-1)], np.int64).reshape(names.shape)
