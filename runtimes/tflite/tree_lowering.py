"""How an ensemble becomes TFLite, which has no trees: matrix products where they are small, else gathers."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from ..trees import Trees
from ..trees_gather import to_gather
from ..trees_gemm import gemm_floats, to_gemm

GEMM_FLOATS = 1 << 20
"""Weights of the products up to which they are faster than gathers on a CPU, at one row and at many."""


def lower_trees(trees: Trees, source: str, result: str) -> ModelProto:
    """The ensemble as a model `source` (batch, columns) float32 -> `result` (batch, outputs) float32."""
    return to_gemm(trees, source, result) if multiplies(trees) else to_gather(trees, source, result)


def multiplies(trees: Trees) -> bool:
    """Whether the ensemble is lowered to matrix products. A leaf that is not finite would spoil the sum over all leaves."""
    return gemm_floats(trees) <= GEMM_FLOATS and bool(np.isfinite(trees.values).all())
