"""Infer what an output is from its dtype, name and values, and make the rule it is judged by. Users override both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .contract import Rule
from .infer import kind_of
from .signature import Array, Kind, Signature, TensorSpec


def infer_kind(spec: TensorSpec, values: Array) -> Kind:
    """The kind of an output: as its spec says, else what its finite values look like (sdk/core/infer.py).

    Args:
        spec: the output.
        values: (rows, ...) reference answers.
    """
    if spec.kind is not None:
        return spec.kind
    finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(0, bool)
    return kind_of(values if finite.all() or not values.ndim else values[finite.reshape(len(values), -1).all(axis=1)])


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

