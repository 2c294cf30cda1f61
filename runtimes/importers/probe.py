"""Run a traced program against its source at sizes it was not traced at: a branch on a shape traces and answers wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from ...sdk.core.errors import SourceLine, TraceError, UnsupportedError
from ...sdk.core.signature import Array
from ..onnx_run import open_graph
from ..onnx_split import opaque_parts
from .frames import line_of_trace
from .inputs import BATCH, Input, dimension_sizes, values
from .program import Source

_LARGE, _VERY_LARGE = 5, 300
"""A batch that is neither 1 nor 2 (the contract runs larger ones); and one beyond usual limits, where the code is seen to look at sizes."""
_BYTES = 16 << 20
"""Of the input of the very large batch: 300 rows of pictures would need more memory than a machine has."""
_TOLERANCE = 1e-3


def probe(model: ModelProto, inputs: Sequence[Input], source: Source, suspects: Sequence[SourceLine] = (),
          traces: Mapping[str, str] | None = None, edges: Mapping[str, Sequence[int]] | None = None) -> None:  # fmt: skip
    """Compare program and source with every dynamic dimension at 1, 2 and larger. Graphs with opaque nodes are left to `pack`.

    Args:
        model: the program's only graph.
        inputs: its inputs.
        source: what it was made from.
        suspects: the user's lines that decide by a dimension.
        traces: node name -> stack trace of the line that made it.
        edges: further sizes to try, by dimension.

    Raises:
        TraceError: they differ somewhere; names the sizes and the first suspect.
        UnsupportedError: ONNX Runtime has no kernel for a node; names it and the line it came from.
    """
    if opaque_parts(model):
        return
    session = _open(model, traces or {})
    suspect = suspects[0] if suspects else None
    for sizes in _sizes(inputs, edges or {}):
        _try(session, inputs, source, sizes, suspect)
    if suspect:
        any(_try(session, inputs, source, sizes, suspect) for sizes in _very_large(inputs))


def _try(session: ort.InferenceSession, inputs: Sequence[Input], source: Source, sizes: Mapping[str, int],
         suspect: SourceLine | None) -> bool:  # fmt: skip
    """Compare at these sizes; False where the source itself refuses them, and there is nothing to compare."""
    try:
        expected = source(values(inputs, sizes))
    except Exception:  # whatever the user's code raises
        return False
    _compare(session, inputs, sizes, expected, suspect)
    return True


def _open(model: ModelProto, traces: Mapping[str, str]) -> ort.InferenceSession:
    try:
        return open_graph(model)
    except Exception as error:
        raise _unsupported(error, traces) from error


def _unsupported(error: Exception, traces: Mapping[str, str]) -> UnsupportedError:
    text = str(error)
    named = max((name for name in traces if name in text), key=len, default=None)
    where = line_of_trace(traces[named]) if named else None
    return UnsupportedError("ONNX Runtime cannot run an operation" + (f" at {where}" if where else ""), got=text.splitlines()[0][:300],
                            fix="Write the line with other operations or dtypes (float32, int32).")  # fmt: skip


def _sizes(inputs: Sequence[Input], edges: Mapping[str, Sequence[int]]) -> Iterator[dict[str, int]]:
    """Sizes of all dimensions: each one in turn at 1, 2 and larger, the others as in the examples (two rows)."""
    held = dimension_sizes(inputs)
    base = held | ({BATCH: 2} if BATCH in held else {})
    yield base
    for dim, size in held.items():
        large = _LARGE if dim == BATCH else 2 * size + 1
        yield from (base | {dim: count} for count in (1, 2, large, *edges.get(dim, ())) if count != base[dim])


def _very_large(inputs: Sequence[Input]) -> Iterator[dict[str, int]]:
    """A very large batch with every other dimension at 2; as in the examples, for sources that refuse those."""
    held = dimension_sizes(inputs)
    if BATCH not in held:
        return
    for sizes in (dict.fromkeys(held, 2), held):
        row_bytes = sum(item.rim(sizes | {BATCH: 1}).nbytes for item in inputs)
        yield sizes | {BATCH: max(_LARGE, min(_VERY_LARGE, _BYTES // max(row_bytes, 1)))}


def _compare(session: ort.InferenceSession, inputs: Sequence[Input], sizes: Mapping[str, int], expected: Mapping[str, Array],
             suspect: SourceLine | None) -> None:  # fmt: skip
    described = ", ".join(f"{dim}={size}" for dim, size in sizes.items())
    fix = "Replace the branch by operations that hold for every size, or declare the function as a host stage: host=[...]."
    try:
        found = cast("list[Any]", session.run(list(expected), {item.spec.name: item.rim(sizes) for item in inputs}))
    except Exception as error:
        raise TraceError(f"The traced program fails at {described}, where the source answers", where=suspect,
                         got=str(error).splitlines()[0][:300], fix=fix) from error  # fmt: skip
    for (name, wanted), got in zip(expected.items(), found, strict=True):
        if difference := _difference(wanted, np.asarray(got)):
            raise TraceError(f"The traced program answers differently from the source at {described}", where=suspect,
                             got=f"output {name!r}: {difference}", fix=fix)  # fmt: skip


def _difference(wanted: Array, got: Array) -> str | None:
    """How two answers differ beyond rounding, in words; None if they do not."""
    if wanted.shape != got.shape:
        return f"shape {got.shape} instead of {wanted.shape}"
    if wanted.dtype.kind != "f":
        share = float(np.mean(wanted != got)) if wanted.size else 0.0
        return f"{share:.0%} of the values" if share > 0.5 else None
    finite = np.isfinite(wanted)
    if not np.array_equal(np.isnan(wanted), np.isnan(got)):
        return "NaN in other places"
    scale = max(1.0, float(np.max(np.abs(wanted[finite]), initial=0.0)))
    off = float(np.max(np.abs(wanted[finite].astype(np.float64) - got[finite]), initial=0.0))
    return f"up to {off:.3g} off" if off > _TOLERANCE * scale else None
