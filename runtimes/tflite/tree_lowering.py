"""How an ensemble becomes TFLite, which has no trees: matrix products or gathers, whichever an estimate says is faster.

Measured with LiteRT 2.3 on one thread, one row (and eight), in us: 100 trees of 31 leaves: products 42 (160), gathers 59 (337);
of 64 leaves: 94 (376) and 74 (416); of 128 leaves: 220 (1,071) and 86 (531); 80 trees of depth 3: 14 (50) and 29 (150).
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from ..trees import LEAF, Trees
from ..trees_gather import to_gather
from ..trees_gemm import gemm_floats, to_gemm

GEMM_FLOATS = 1 << 20
"""Products never hold more weights than this: 4 MiB."""
_NODE_NS, _WEIGHT_NS = 8.0, 0.07
_LEVEL_NS, _TREE_NS = 1000.0, 40.0


def lower_trees(trees: Trees, source: str, result: str) -> ModelProto:
    """The ensemble as a model `source` (batch, columns) float32 -> `result` (batch, outputs) float32."""
    return to_gemm(trees, source, result) if multiplies(trees) else to_gather(trees, source, result)


def multiplies(trees: Trees) -> bool:
    """Whether the ensemble is lowered to matrix products. A leaf that is not finite would spoil the sum over all leaves."""
    weights = gemm_floats(trees)
    products = _NODE_NS * int((trees.feature != LEAF).sum()) + _WEIGHT_NS * weights
    gathers = trees.depth * (_LEVEL_NS + _TREE_NS * len(trees.roots))
    return weights <= GEMM_FLOATS and products <= gathers and bool(np.isfinite(trees.values).all())
