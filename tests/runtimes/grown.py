"""Ensembles out of random numbers, with every kind of node, rows that meet every edge of them, and what ONNX Runtime answers."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from portside.runtimes.trees import LEAF, Trees

COLUMNS = 4
WORDS = 3
"""Of 32 codes each, in a category node's set."""


def random_trees(seed: int, trees: int = 7, outputs: int = 3, targeted: bool = False, categories: bool = True, aggregate: str = "sum",
                 depth: int = 5) -> Trees:  # fmt: skip
    """Numeric nodes on a tenth-grid, category nodes with up to 96 codes, every missing side; trees of `depth` levels at most."""
    rng = np.random.default_rng(seed)
    held = {name: [] for name in ("feature", "threshold", "left", "right", "missing_left", "bitset")}
    values, roots, sets = [], [], []

    def node(below: int) -> int:
        at = len(held["feature"])
        leaf = below == 0 or rng.random() < 0.2
        category = categories and not leaf and rng.random() < 0.4
        numbers = {"feature": LEAF if leaf else rng.integers(COLUMNS), "threshold": np.float32(rng.integers(-20, 20) / 10)}
        numbers |= {"missing_left": rng.integers(2), "bitset": len(sets) if category else -1, "left": 0, "right": 0}
        for name, value in numbers.items():
            held[name].append(value)
        if category:
            sets.append(rng.integers(0, 2**32, WORDS, dtype=np.uint32))
        if leaf:
            held["left"][at] = len(values)
            values.append(rng.normal(size=1 if targeted else outputs).astype(np.float32))
        else:
            held["left"][at], held["right"][at] = node(below - 1), node(below - 1)
        return at

    for _ in range(trees):
        roots.append(node(int(rng.integers(0, depth + 1))))
    offsets = rng.integers(0, outputs, trees) if targeted else np.zeros(trees)
    return Trees(columns=COLUMNS, aggregate=aggregate, bitsets=np.array(sets, np.uint32).reshape(-1, WORDS), roots=roots,
                 offsets=offsets, values=np.array(values), base=rng.normal(size=outputs), **held)  # fmt: skip


def random_rows(seed: int, count: int = 40) -> np.ndarray:
    """Codes, tenths that tie with thresholds, missing and unknown codes, NaN and infinities."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((count, COLUMNS)) < 0.5, rng.integers(-20, 20, (count, COLUMNS)) / 10, rng.integers(0, 120, (count, COLUMNS)))
    odd = rng.choice([np.nan, np.inf, -np.inf, -1.0, -2.0, 1e30], (count, COLUMNS))
    return np.where(rng.random((count, COLUMNS)) < 0.2, odd, x).astype(np.float32)


def answers(model: ModelProto, x: np.ndarray) -> np.ndarray:
    """A lowered ensemble's scores for these rows, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": x})[0]
