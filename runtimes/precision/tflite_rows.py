"""Which rows calibrate a static plan, and what each segment of a program reads for them.

A plan names samples of its own, put into the package when it was compressed; otherwise the contract's golden rows serve. Segments
behind the first read what those before them make, in float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save_file

from ...sdk.core.contract import Contract
from ...sdk.core.errors import FormatError
from ...sdk.core.package import Package
from ...sdk.core.plan import PrecisionPlan
from ...sdk.core.signature import Array
from ..canvas import canvases, pad_all, program_inputs
from ..state import with_initial

Feeds: TypeAlias = "Mapping[str, Array]"
"""What one call reads: value -> array."""
MOST_ROWS = 256
SAMPLES = "samples"
"""In a plan's `calibration`: the file of the package with its rows, value at the rim -> array over rows."""


def calibration_calls(package: Package, plan: PrecisionPlan, contract: Contract | None) -> list[Feeds]:
    """Typed inputs at the program's rim, at most `MOST_ROWS` rows over all calls.

    Raises FormatError for samples that are not the program's inputs.
    """
    golden = contract.cases if contract is not None else ()
    given = plan.calibration.get(SAMPLES)
    calls = [case.inputs for case in golden] if given is None else [_samples(package, str(given))]
    known = canvases(package.signature)
    full = [pad_all(known, with_initial(package.signature, call)) for call in calls]
    return _thinned([{name: np.asarray(call[name]) for name in program_inputs(package.signature)} for call in full])


def _samples(package: Package, file: str) -> dict[str, Array]:
    try:
        tensors = load(package.read(file))
    except SafetensorError as error:
        raise FormatError("The plan's calibration samples are no tensors", got=f"{file}: {error}") from error
    names = {*program_inputs(package.signature), *(spec.name for spec in package.signature.inputs)}
    needed = {spec.name for spec in package.signature.inputs} - {pair.input for pair in package.signature.state}
    if lacking := sorted(needed - set(tensors)):
        raise FormatError("The plan's calibration samples lack an input", got=", ".join(tensors), expected=lacking[0])
    return {name: array for name, array in tensors.items() if name in names}


def _thinned(calls: Sequence[dict[str, Array]]) -> list[Feeds]:
    """Every call where they are few; otherwise rows evenly from all of them."""
    counts = [max((len(array) for array in call.values() if array.ndim), default=1) for call in calls]
    total = sum(counts)
    if total <= MOST_ROWS:
        return list(calls)
    kept = np.linspace(0, total - 1, MOST_ROWS).round().astype(int)
    found: list[Feeds] = []
    for call, count, start in zip(calls, counts, np.cumsum([0, *counts[:-1]]), strict=True):
        rows = kept[(kept >= start) & (kept < start + count)] - start
        if len(rows):
            found.append({name: array[rows] if array.ndim and len(array) == count else array for name, array in call.items()})
    return found


def write_rows(calls: Sequence[Feeds], file: Path) -> None:
    """Calls of a segment as one file."""
    save_file({f"{index:05d}/{name}": np.ascontiguousarray(array).reshape(array.shape) for index, feeds in enumerate(calls)
               for name, array in feeds.items()}, file)  # fmt: skip


def read_rows(file: Path) -> list[Feeds]:
    """What `write_rows` wrote; nothing where there is no file."""
    calls: dict[str, dict[str, Array]] = {}
    for key, array in sorted(load_file(file).items()) if file.is_file() else ():
        index, _, name = key.partition("/")
        calls.setdefault(index, {})[name] = array
    return list(calls.values())
