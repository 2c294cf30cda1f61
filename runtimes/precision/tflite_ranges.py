"""Ranges of a `.tflite` file's values on calibration rows: the file runs on them, and its lowest and highest values are kept.

One signature is asked, the one of most rows; the others compute the same values, and get the same ranges, so that a row's answer
does not depend on the signature that gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ai_edge_quantizer import calibrator, recipe_manager
from ai_edge_quantizer.utils import qsv_utils

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


def measure(model: bytes, key: str, calls: Sequence[dict[str, Array]], recipe: Sequence[Mapping[str, Any]], threads: int) -> dict[str, Any]:
    """Tensor -> its range over the calls, in the quantizer's own words.

    Args:
        model: the float file.
        key: the signature to run.
        calls: by the names of the file, in the signature's shapes.
        recipe: what is going to be quantized: values of other operators are not looked at.
        threads: of the interpreter.
    """
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe([dict(entry) for entry in recipe])
    asked = calibrator.Calibrator(model, num_threads=threads, qsv_update_func=qsv_utils.min_max_update)
    asked.calibrate({key: calls}, manager)
    return asked.get_model_qsvs()
