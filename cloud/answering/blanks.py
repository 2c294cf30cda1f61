"""Outputs of rows that are not answered yet: nothing in the place of what the model said, or what the deployment says meanwhile.

In an array nothing is NaN, -1 in signed integers (the largest number in unsigned ones), False, and None in the place of names and text;
JSON has null for it, see doors/pending.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...sdk.core.signature import MISSING_CODE, NUMPY, Array, Signature, TensorSpec


def covered(named: Mapping[str, Array], signature: Signature, rows: Sequence[int],
            meanwhile: Mapping[str, Array] | None = None) -> dict[str, Array]:  # fmt: skip
    """Answers with some rows covered.

    Args:
        named: outputs as callers get them, names in the place of codes; not changed.
        rows: which.
        meanwhile: answers of as many rows, from which those are taken; None: nothing is in their place.
    """
    return {spec.name: _covered(named[spec.name], spec, rows, meanwhile) for spec in signature.outputs if spec.name in named}


def nothing(signature: Signature, rows: int) -> dict[str, Array]:
    """Answers of so many rows that hold nothing; sizes that only an answer would tell are 0."""
    held: dict[str, Array] = {}
    for spec in signature.outputs:
        sizes = [rows if axis == spec.batch_axis else size if isinstance(size, int) else 0 for axis, size in enumerate(spec.shape)]
        held[spec.name] = np.full(sizes, blank(_dtype(spec)), _dtype(spec))
    return held


def blank(dtype: np.dtype[Any]) -> Any:
    """What stands for nothing."""
    if dtype.kind == "u":
        return np.iinfo(dtype).max
    return {"f": np.nan, "i": MISSING_CODE, "b": False}.get(dtype.kind)


def _covered(array: Array, spec: TensorSpec, rows: Sequence[int], meanwhile: Mapping[str, Array] | None) -> Array:
    made = np.array(array)
    if spec.batch_axis is None:  # shared by all rows: it would tell of those that are covered
        return np.full_like(made, blank(made.dtype)) if meanwhile is None else meanwhile[spec.name]
    turned = np.moveaxis(made, spec.batch_axis, 0)
    chosen = list(rows)
    turned[chosen] = blank(made.dtype) if meanwhile is None else np.moveaxis(meanwhile[spec.name], spec.batch_axis, 0)[chosen]
    return made


def _dtype(spec: TensorSpec) -> np.dtype[Any]:
    return np.dtype(object) if spec.categories is not None else NUMPY[spec.dtype]
