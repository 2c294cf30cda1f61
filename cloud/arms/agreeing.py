"""Whether two models decide alike, row by row. Pure.

Decisions are compared as they are, and so are sequences of decisions; scores and values move with every training, and no rule holds for
embeddings, rankings and boxes of two models (docs/decisions/041).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...sdk.core.distances import differs
from ...sdk.core.signature import Array, Signature, TensorSpec

WHOLE = ("bool", "string", "i8", "u8", "i32", "i64")


def discrete(signature: Signature) -> tuple[TensorSpec, ...]:
    """The outputs that are decisions, or sequences of them."""
    return tuple(spec for spec in signature.outputs if _decided(spec))


def agreements(specs: Sequence[TensorSpec], champion: Mapping[str, Array], challenger: Mapping[str, Array], rows: int) -> list[bool]:
    """Per row, whether all these outputs are the same; an output without rows is every row's. Other shapes agree nowhere."""
    same = np.ones(rows, bool)
    for spec in specs:
        ours, theirs = np.asarray(champion[spec.name]), np.asarray(challenger[spec.name])
        if ours.shape != theirs.shape:
            return [False] * rows
        if spec.batch_axis is None:
            same &= not bool(differs(ours[None], theirs[None]).any())
        else:
            same &= differs(np.moveaxis(ours, spec.batch_axis, 0), np.moveaxis(theirs, spec.batch_axis, 0)) == 0
    return same.tolist()


def _decided(spec: TensorSpec) -> bool:
    if spec.kind is None:
        return spec.categories is not None or spec.dtype == "bool"
    return spec.kind == "decision" or (spec.kind == "sequence" and spec.dtype in WHOLE)
