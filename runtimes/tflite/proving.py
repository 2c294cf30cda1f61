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
from ..onnx_engine import OnnxEngine
from ..state import with_initial
from .flow import flow
from .interpreter import TfliteEngine
from .plan import Plan, Slot

FAR = 0.01
"""Floats further apart than this, beside the largest of the reference, are not the same value."""
FLIPS = 0.25
"""Share of discrete values that may differ: single ones do, on a tie."""
NEARER = 0.5
"""An output of lower precision that is this much nearer to another's reference than to its own has changed places with it."""

_FIX = "This is a fault of the lowering: please report it; onnx-cpu can hold the package."
_LOSSY_FIX = "The float file answers right: keep layers of the plan in float32, or take another class for them."


def prove(package: Package, parts: Sequence[Part], plans: Mapping[str, Plan], root: Path, contract: Contract | None, *,
          lossy: bool = False) -> None:  # fmt: skip
    """Hold every TFLite segment against its ONNX model; a native file is its own truth, and without a contract nothing is asked.

    Args:
        package: its signature and host stages.
        parts: segments, in order.
        plans: file of a segment -> its plan.
        root: folder of the `.tflite` files.
        contract: golden rows of sizes that were compiled.
        lossy: the files compute below float32, and were made from ones that were proven: only what no precision explains is wrong.

    Raises UnsupportedError for an operator that the interpreter lacks, EngineError for another answer, or for a model that ONNX
    Runtime refuses.
    """
    if contract is None or not contract.cases:
        return
    values: dict[str, Any] = with_initial(package.signature, contract.cases[0].inputs)
    values = pad_all(canvases(package.signature), values)
    for part, (feeds,) in flow(package, parts, [values]):
        if part.model is not None:
            graph = OnnxEngine(part.model.SerializeToString())
            _hold(root / Path(part.spec.file).name, plans[part.spec.file], graph, feeds, lossy)


def _answers(engine: OnnxEngine, feeds: Mapping[str, Array]) -> dict[str, Array]:
    names = list(engine.outputs)
    return dict(zip(names, engine.run(names, dict(feeds)), strict=True))


def _hold(file: Path, plan: Plan, graph: OnnxEngine, feeds: Mapping[str, Array], lossy: bool) -> None:
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
            problem = odd(slot, made, wanted) if lossy else differs(slot, made[slot.name], wanted[slot.name])
            if problem is not None:
                raise EngineError(f"The TFLite file of the segment {file.stem!r} answers {slot.name!r} otherwise than the program",
                                  got=f"{problem}, at {dict(sizes) or 'its fixed sizes'}", fix=_LOSSY_FIX if lossy else _FIX)  # fmt: skip
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


def odd(slot: Slot, made: Mapping[str, Array], wanted: Mapping[str, Array]) -> str | None:
    """What is wrong with an answer of lower precision, or None: its form, infinities, or that it is another output's answer."""
    answer, reference = made[slot.name], wanted[slot.name]
    if (problem := _form(answer, reference)) is not None:
        return problem
    if answer.dtype.kind == "f" and not np.isfinite(answer[np.isfinite(reference)]).all():
        return "NaN or infinities at other places"
    others = [name for name, held in wanted.items() if name != slot.name and _form(held, reference) is None]
    near = [name for name in others if _apart(answer, wanted[name]) < NEARER * _apart(answer, reference)]
    return f"nearer to what {near[0]!r} should be" if near else None


def _apart(one: Array, other: Array) -> float:
    both = [np.nan_to_num(side.astype(np.float64)) for side in (one, other)]
    return float(np.mean(np.abs(both[0] - both[1])))


def differs(slot: Slot, made: Array, wanted: Array) -> str | None:
    """What is wrong with an answer, or None."""
    if (problem := _form(made, wanted)) is not None:
        return problem
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


def _form(made: Array, wanted: Array) -> str | None:
    if made.shape != wanted.shape:
        return f"shape {made.shape} instead of {wanted.shape}"
    return None if made.dtype == wanted.dtype else f"dtype {made.dtype} instead of {wanted.dtype}"
