"""Does every signature of a `.tflite` file answer like its ONNX segment? Asked with rows of the contract, before anything is kept.

The contract proves the artifact as a whole; this looks at each file and each signature, so that a swapped output or a pad
that changes an answer is named where it happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...sdk.core.contract import Contract
from ...sdk.core.errors import EngineError, UnsupportedError
from ...sdk.core.package import Package
from ...sdk.core.signature import NUMPY, Array
from ..assemble import Part
from ..canvas import canvases, pad_all
from ..host_stage import HostStage
from ..onnx_engine import OnnxEngine
from ..state import with_initial
from .interpreter import TfliteEngine
from .plan import Plan, Slot

FAR = 0.01
"""Floats further apart than this, beside the largest of the reference, are not the same value."""
FLIPS = 0.25
"""Share of discrete values that may differ: single ones do, on a tie."""


def prove(package: Package, parts: Sequence[Part], plans: Mapping[str, Plan], root: Path, contract: Contract | None) -> None:
    """Hold every TFLite segment against its ONNX model; a native file is its own truth, and without a contract nothing is asked.

    Args:
        package: its signature and host stages.
        parts: segments, in order.
        plans: file of a segment -> its plan.
        root: folder of the `.tflite` files.
        contract: golden rows of sizes that were compiled.

    Raises UnsupportedError for an operator that the interpreter lacks, EngineError for another answer, or for a model that ONNX
    Runtime refuses.
    """
    if contract is None or not contract.cases:
        return
    values: dict[str, Any] = with_initial(package.signature, contract.cases[0].inputs)
    values = pad_all(canvases(package.signature), values)
    for part in parts:
        feeds = {name: np.asarray(values[name]) for name in part.spec.inputs}
        if part.copied is not None:
            native = TfliteEngine(package.path / part.copied, Plan.from_dict(part.spec.plan or {}))
            values.update(zip(native.outputs, native.run(list(native.outputs), feeds), strict=True))
            native.close()
            continue
        if part.model is None:
            if not package.trusted:
                return
            host = HostStage(package.path / part.spec.file, part.spec, trust=True)
            values.update(zip(host.outputs, host.run(list(host.outputs), feeds), strict=True))
            continue
        graph = OnnxEngine(part.model.SerializeToString())
        plan = plans[part.spec.file]
        _hold(root / Path(part.spec.file).name, plan, graph, feeds)
        values.update(_answers(graph, feeds))


def _answers(engine: OnnxEngine, feeds: Mapping[str, Array]) -> dict[str, Array]:
    names = list(engine.outputs)
    return dict(zip(names, engine.run(names, dict(feeds)), strict=True))


def _hold(file: Path, plan: Plan, graph: OnnxEngine, feeds: Mapping[str, Array]) -> None:
    try:
        engine = TfliteEngine(file, plan)
    except EngineError as error:
        raise UnsupportedError(f"The TFLite interpreter lacks an operator of the segment {file.stem!r}", got=str(error),
                               fix="Change that operation, move it into a host stage, or compile for onnx-cpu.") from error  # fmt: skip
    for sizes in asked(plan):
        sized = {slot.name: stretched(slot, feeds[slot.name], sizes) for slot in plan.inputs}
        names = [slot.name for slot in plan.outputs]
        made = dict(zip(names, engine.run(names, sized), strict=True))
        wanted = _answers(graph, sized)
        for slot in plan.outputs:
            if (problem := differs(slot, made[slot.name], wanted[slot.name])) is not None:
                raise EngineError(f"The TFLite file of the segment {file.stem!r} answers {slot.name!r} otherwise than the program",
                                  got=f"{problem}, at {dict(sizes) or 'its fixed sizes'}",
                                  fix="This is a fault of the lowering: please report it; onnx-cpu can hold the package.")  # fmt: skip
    engine.close()


def asked(plan: Plan) -> Iterator[Mapping[str, int]]:
    """Every signature's own sizes, and for padded dimensions one less, so that padding is seen."""
    for sizes in plan.signatures.values():
        yield sizes
        padded = {symbol: size - 1 for symbol, size in sizes.items() if symbol != plan.batch and symbol not in plan.exact and size > 1}
        if padded:
            yield {**sizes, **padded}


def stretched(slot: Slot, feed: Array, sizes: Mapping[str, int]) -> Array:
    """Golden values in another shape: repeated or cut along each symbolic axis, in the dtype of the file."""
    for axis, symbol in enumerate(slot.shape):
        if isinstance(symbol, str):
            feed = np.take(feed, np.arange(sizes[symbol]) % feed.shape[axis], axis=axis)
    return np.ascontiguousarray(feed.astype(NUMPY[slot.dtype], copy=False)).reshape(feed.shape)


def differs(slot: Slot, made: Array, wanted: Array) -> str | None:
    """What is wrong with an answer, or None."""
    if made.shape != wanted.shape:
        return f"shape {made.shape} instead of {wanted.shape}"
    if made.dtype != wanted.dtype:
        return f"dtype {made.dtype} instead of {wanted.dtype}"
    if not made.size:
        return None
    if made.dtype.kind != "f":
        flips = float(np.mean(made != wanted))
        return f"{flips:.0%} of the values differ" if flips > FLIPS else None
    if not np.array_equal(np.isnan(made), np.isnan(wanted)):
        return "NaN at other places"
    finite = np.isfinite(wanted)
    if not np.array_equal(made[~finite], wanted[~finite], equal_nan=True):
        return "infinities at other places"
    far = float(np.max(np.abs(made[finite] - wanted[finite]), initial=0.0))
    return f"{far:.3g} apart" if far > FAR * max(1.0, float(np.max(np.abs(wanted[finite]), initial=0.0))) else None
