"""How an engine wants its codes of 8 bits: CPUs uint8 with a zero point, TensorRT int8 or float8 about zero and biases in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ...sdk.core.signature import Array

LEVELS = 255
_INT8, _FLOAT8 = 127.0, 448.0
"""Largest code of int8, and the largest number of float8 (e4m3fn)."""


@dataclass(frozen=True)
class Scheme:
    """What is written for a value and for a weight.

    Attributes:
        code: dtype of symmetric codes, activations and weights alike; None: activations in uint8 with a zero point, weights in int8.
        limit: largest symmetric code.
        wide_bias: biases stay float32.
    """

    code: Any = None
    limit: float = LEVELS
    wide_bias: bool = False

    @property
    def weight(self) -> Any:
        """Dtype of a weight's codes."""
        return np.int8 if self.code is None else self.code

    def activation_code(self, low: float, high: float) -> tuple[np.float32, Any]:
        """Scale and zero point of values between `low` <= 0 and `high` >= 0."""
        if self.code is not None:
            return np.float32(max(-low, high) / self.limit) or np.float32(1.0), np.asarray(0, self.code)
        scale = np.float32((high - low) / LEVELS) or np.float32(1.0)
        return scale, np.uint8(np.clip(round(-low / float(scale)), 0, LEVELS))

    def weight_codes(self, weight: Array, axis: int | None) -> tuple[Array, Array] | None:
        """Codes that are no whole numbers, and their float32 scale: one per index of `axis`, or one; None: int8, as everywhere."""
        if self.code is None or np.dtype(self.code) == np.int8:
            return None
        rest = None if axis is None else tuple(place for place in range(weight.ndim) if place != axis)
        largest = np.abs(weight).max(axis=rest)
        scale = np.asarray(np.where(largest > 0, largest / self.limit, 1.0), np.float32)
        shaped = scale if axis is None else scale.reshape([-1 if place == axis else 1 for place in range(weight.ndim)])
        return (weight / shaped).astype(self.code), scale


CPU = Scheme()
INT8 = Scheme(np.int8, _INT8, wide_bias=True)
FLOAT8 = Scheme(ml_dtypes.float8_e4m3fn, _FLOAT8, wide_bias=True)
