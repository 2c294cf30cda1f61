"""A program's segments one after another, in float: what each of them reads for given inputs of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...sdk.core.package import Package
from ...sdk.core.signature import Array
from ..assemble import Part
from ..host_stage import HostStage
from ..onnx_engine import OnnxEngine
from .interpreter import TfliteEngine
from .plan import Plan


def flow(package: Package, parts: Sequence[Part], calls: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Part, list[dict[str, Array]]]]:
    """Every ONNX segment and what it reads in each call; ends at a host stage that may not run.

    Args:
        package: its host stages run where it is trusted.
        parts: segments, in order.
        calls: per call, the program's inputs at its rim.
    """
    held = [dict(call) for call in calls]
    for part in parts:
        feeds = [{name: np.asarray(values[name]) for name in part.spec.inputs} for values in held]
        if part.model is not None:
            yield part, feeds
        elif part.copied is None and not package.trusted:
            return
        if part is not parts[-1]:
            for values, made in zip(held, _answers(package, part, feeds), strict=True):
                values.update(made)


def _answers(package: Package, part: Part, feeds: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
    if part.model is not None:
        engine = OnnxEngine(part.model.SerializeToString())
    elif part.copied is not None:
        engine = TfliteEngine(package.path / part.copied, Plan.from_dict(part.spec.plan or {}))
    else:
        engine = HostStage(package.path / part.spec.file, part.spec, trust=True)
    names = list(engine.outputs)
    try:
        return [dict(zip(names, engine.run(names, feed), strict=True)) for feed in feeds]
    finally:
        engine.close()
