"""Ranges of a `.tflite` file's values on calibration rows: the file runs on them, and its lowest and highest values are kept.

One signature is asked, the one of most rows; the others compute the same values, and get the same ranges, so that a row's answer
does not depend on the signature that gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ...sdk.core.errors import InputError
from ...sdk.core.signature import NUMPY, Array
from ..tflite.interpreter import fitted
from ..tflite.plan import Plan
from .tflite_operators import Operator
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


def measure(model: bytes, key: str, operators: Sequence[Operator], calls: Iterable[Mapping[str, Array]], threads: int) -> dict[str, Any]:
    """Tensor -> its lowest and highest value over the calls, in the quantizer's own words.

    Constants are left out: a range of weights would be taken for one scale of all their channels.

    Args:
        model: the float file, every tensor's name its own.
        key: the signature to run.
        operators: of that signature's graph; tensors are called "graph/number".
        calls: by the names of the file, in the signature's shapes; read one by one.
        threads: of the interpreter.
    """
    interpreter = Interpreter(model_content=model, num_threads=threads, experimental_preserve_all_tensors=True)
    runner = interpreter.get_signature_runner(key)
    graph = operators[0].graph
    places = sorted({place for one in operators for place in (*one.reads, *one.makes)})
    ranges: dict[str, tuple[float, float]] = {}
    for feeds in calls:
        runner(**feeds)
        for place in places:
            value = _value(interpreter, place, graph)
            if value is not None:
                low, high = ranges.get(f"{graph}/{place}", (np.inf, -np.inf))
                ranges[f"{graph}/{place}"] = min(low, float(value.min())), max(high, float(value.max()))
    return {name: as_range(low, high) for name, (low, high) in ranges.items()}


def as_range(low: float, high: float) -> dict[str, Array]:
    """A range as the quantizer takes it."""
    return {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}


def _value(interpreter: Any, place: int, graph: int) -> Array | None:
    """A tensor's value after a call; None for one that the delegate computed away, and for one without elements."""
    try:
        value = interpreter.get_tensor(place, graph)
    except ValueError:
        return None
    return value if value.size and np.isfinite(value).all() else None
