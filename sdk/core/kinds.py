"""Infer what an output is from its dtype, name and values, and make the rule it is judged by. Users override both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .contract import Rule
from .signature import Array, Kind, Signature, TensorSpec

_WIDE = 16
_NAMES = ("embedding", "embeddings", "features", "sentence", "vector")


def infer_kind(spec: TensorSpec, values: Array) -> Kind:
    """The kind of an output: as its spec says, else decision for integers, bools and strings, embedding for rows of unit
    length (16 numbers or more, named like one or not probabilities), score for numbers in [0, 1], otherwise value.

    Args:
        spec: the output.
        values: (rows, ...) reference answers.
    """
    if spec.kind is not None:
        return spec.kind
    if spec.dtype not in ("f32", "f64", "f16"):
        return "decision"
    finite = np.asarray(values, np.float64)[np.isfinite(np.asarray(values, np.float64))]
    if _unit_rows(values) and (spec.name.lower() in _NAMES or (finite.size and finite.min() < 0)):
        return "embedding"
    return "score" if finite.size and finite.min() >= 0 and finite.max() <= 1 else "value"


def scale_of(values: Array) -> float:
    """IQR of the finite values, at least 1e-3 x max(1, |median|): the unit in which values may differ."""
    held = np.asarray(values, np.float64).ravel()
    held = held[np.isfinite(held)]
    if not held.size:
        return 1.0
    low, middle, high = (float(part) for part in np.quantile(held, [0.25, 0.5, 0.75]))
    return max(high - low, 1e-3 * max(1.0, abs(middle)))


def rules_of(signature: Signature, outputs: Mapping[str, Sequence[Array]],
             limits: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Rule]:  # fmt: skip
    """A rule per output.

    Args:
        signature: kinds that are set in it win.
        outputs: name -> reference answers, as arrays with rows in front whose shapes may differ.
        limits: name -> tolerances that the user changes.
    """
    rules: dict[str, Rule] = {}
    for spec in signature.outputs:
        parts = outputs[spec.name]
        kind = infer_kind(spec, max(parts, key=lambda part: part.size))
        scaled = kind in ("value", "ranking", "sequence") and spec.dtype in ("f32", "f64", "f16")
        scale = scale_of(np.concatenate([part.ravel() for part in parts])) if scaled else 1.0
        rules[spec.name] = Rule(kind, dict((limits or {}).get(spec.name, {})), scale, spec.top_k)
    return rules


def _unit_rows(values: Array) -> bool:
    if values.ndim != 2 or values.shape[1] < _WIDE or not len(values):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(np.asarray(values, np.float64), axis=1)
    return bool((np.abs(lengths - 1) < 1e-3).all())
