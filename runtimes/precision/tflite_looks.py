"""Which value of the program a tensor of a `.tflite` file is: on the same rows it is the same numbers, whatever their layout.

A converter renames, transposes and fuses; what calibration saw of a value is asked for by the program's name of it. So both programs
answer a few golden rows in float, and a tensor takes the recorded range of the value that looks the same: as many elements, and the
same lowest, highest, mean and root mean square. No row of the user's data is needed for this, and none is kept in a package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from onnx import ModelProto

from ...sdk.core.manifest import Stage
from ...sdk.core.plan import Range
from ...sdk.core.signature import Array
from ..assemble import promote
from ..onnx_engine import OnnxEngine

NEAR = 1e-3
"""Two engines' sums differ by less than this share of a value's spread; different values do by more."""


@dataclass(frozen=True)
class Look:
    """What does not change when a tensor is transposed or reshaped.

    Attributes:
        size: elements.
        low, high, mean, rms: of them.
    """

    size: int
    low: float
    high: float
    mean: float
    rms: float

    def apart(self, other: Look) -> float:
        """The largest difference as a share of the spread; infinite for another number of elements."""
        if self.size != other.size:
            return float("inf")
        spread = max(self.high - self.low, other.high - other.low, 1e-12)
        mine, theirs = ((held.low, held.high, held.mean, held.rms) for held in (self, other))
        return max(abs(one - another) for one, another in zip(mine, theirs, strict=True)) / spread


Looks: TypeAlias = "Mapping[str, Mapping[str, Look]]"
"""Signature -> "stage/value" -> its look on the first call of that signature."""


def look(value: Array) -> Look | None:
    """Of a float array; None where it has no elements or one that is not finite."""
    held = value.astype(np.float64)
    if not held.size or not np.isfinite(held).all():
        return None
    return Look(held.size, float(held.min()), float(held.max()), float(held.mean()), float(np.sqrt(np.mean(held**2))))


def matched(tensors: Mapping[str, Look], values: Mapping[str, Look], ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Tensor -> the range of the value that looks the same; tensors that look like none are left out.

    Args:
        tensors: of the file.
        values: of the program, on the same rows.
        ranges: by the names of `values`.
    """
    found: dict[str, Range] = {}
    for tensor, seen in tensors.items():
        near = min(((seen.apart(held), name) for name, held in values.items() if name in ranges), default=(NEAR, ""))
        if near[0] < NEAR:
            found[tensor] = ranges[near[1]]
    return found


def values_of(stages: Sequence[Stage], names: Iterable[str], model: ModelProto) -> dict[str, str]:
    """ "stage/value" -> what the value is called in the segment that `assemble` made of these stages; those that it lacks are left out."""
    made = {name for node in model.graph.node for name in node.output} | {value.name for value in model.graph.input}
    places = {stage.name: place for place, stage in enumerate(stages)}
    found: dict[str, str] = {}
    for name in names:
        stage, _, value = name.partition("/")
        inner = f"{places.get(stage)}/{value}"
        if stage in places and (held := inner if inner in made else value) in made:
            found[name] = held
    return found


def looks_of(model: ModelProto, values: Mapping[str, str], feeds: Mapping[str, Array]) -> dict[str, Look]:
    """Name -> the look of its value in one call of a segment.

    Args:
        model: the segment in float.
        values: name -> the value in `model`.
        feeds: what the segment reads.
    """
    held = ModelProto()
    held.CopyFrom(model)
    inner = [value for value in dict.fromkeys(values.values()) if value not in feeds]
    seen = {**feeds, **_run(promote(held, inner), inner, feeds)}
    looks = {name: look(seen[value]) for name, value in values.items() if seen[value].dtype.kind == "f"}
    return {name: found for name, found in looks.items() if found is not None}


def _run(model: ModelProto, names: list[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Values by name; an engine that is asked for none would give all."""
    if not names:
        return {}
    engine = OnnxEngine(model.SerializeToString())
    try:
        return dict(zip(names, engine.run(names, dict(feeds)), strict=True))
    finally:
        engine.close()


def write_looks(looks: Looks, file: Path) -> None:
    """As JSON."""
    held = {key: {name: list(vars(seen).values()) for name, seen in values.items()} for key, values in looks.items()}
    file.write_text(json.dumps(held), encoding="utf-8")


def read_looks(file: Path) -> dict[str, dict[str, Look]]:
    """What `write_looks` wrote; nothing where there is no file."""
    held = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {key: {name: Look(*seen) for name, seen in values.items()} for key, values in held.items()}
