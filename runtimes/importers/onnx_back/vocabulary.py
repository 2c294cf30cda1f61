"""All operators with a lowering: importing this file registers them."""

from __future__ import annotations

from . import (
    convolution,
    elementwise,
    generators,
    indexing,
    linear,
    logic,
    normalization,
    pooling,
    quantization,
    recurrent,
    reductions,
    resize,
    shapes,
)
from .registry import OPERATORS

FAMILIES = (
    convolution, elementwise, generators, indexing, linear, logic, normalization, pooling, quantization, recurrent,
    reductions, resize, shapes,
)  # fmt: skip


__all__ = ["FAMILIES", "OPERATORS"]
