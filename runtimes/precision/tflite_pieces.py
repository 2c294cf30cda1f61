"""Calls of a segment cut and padded to the sizes of a `.tflite` file's signatures, as its engine does when it answers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...sdk.core.errors import InputError
from ...sdk.core.signature import NUMPY, Array
from ..tflite.interpreter import fitted
from ..tflite.plan import Plan
from .tflite_rows import Feeds


def widest(plan: Plan) -> str:
    """The signature of the largest sizes."""
    return max(plan.signatures, key=lambda key: sorted(plan.signatures[key].items(), key=lambda held: (held[0] != plan.batch, held[0])))


def pieces(plan: Plan, key: str, calls: Sequence[Feeds]) -> Iterator[dict[str, Array]]:
    """The calls cut and padded to a signature's sizes, by the names of the file; calls that it cannot answer are left out."""
    alone = replace(plan, signatures={key: plan.signatures[key]})
    for feeds in calls:
        try:
            parts = alone.fit(alone.sizes({slot.name: feeds[slot.name].shape for slot in plan.inputs}))
        except InputError:
            continue
        for part in parts:
            yield {slot.key: fitted(slot, feeds[slot.name].astype(NUMPY[slot.dtype], copy=False), part, plan.signatures[key], plan.batch)
                   for slot in plan.inputs}  # fmt: skip
