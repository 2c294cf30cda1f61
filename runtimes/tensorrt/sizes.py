"""Which sizes a package's engines hold: a least, a usual and a largest one of every symbolic dimension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

from ...sdk.core.contract import Contract
from ...sdk.core.errors import UnsupportedError
from ...sdk.core.package import Package
from ...sdk.core.signature import Signature
from ..tflite.sizes import batch_symbol, carriers, contract_of, free_symbols
from .rim import Rim, Slot

BATCHES = (1, 8, 64)
Ranges = dict[str, "tuple[int, int, int]"]


def ranges_of(package: Package, batches: Any = None, asked: Any = None) -> Ranges:
    """Symbol of the signature -> least, usual and largest size.

    Args:
        package: its contract says what is usual, its codec what is the most.
        batches: the option of that name: rows of a call.
        asked: the option `sizes`: symbol -> sizes.

    Raises UnsupportedError for an option that names no sizes, and for a dimension of which nothing is known.
    """
    signature, contract = package.signature, contract_of(package)
    batch, rest = batch_symbol(signature), free_symbols(signature)
    given = _by_symbol(asked)
    if unknown := sorted(set(given) - set(rest)):
        raise UnsupportedError(f"The option sizes names a dimension {unknown[0]!r} that is not symbolic",
                               expected=", ".join(rest) or "no sizes: only the batch is free")  # fmt: skip
    found = {symbol: _sizes("sizes", given[symbol]) if symbol in given else _usual(package, contract, symbol) for symbol in rest}
    return found if batch is None else {batch: _sizes("batches", BATCHES if batches is None else batches), **found}


def rim_of(model: ModelProto, signature: Signature, ranges: Ranges) -> Rim:
    """How the engine of a model is called. Raises UnsupportedError for a free dimension that has no range."""
    inputs, outputs = ([_slot(value) for value in side] for side in (model.graph.input, model.graph.output))
    free = {size for slot in inputs for size in slot.shape if isinstance(size, str)}
    if unknown := sorted(free - set(ranges)):
        raise UnsupportedError(f"The dimension {unknown[0]!r} is made inside the program and may have any size",
                               got=", ".join(sorted(free)), expected="dimensions of the signature",
                               fix="Compile for onnx-cpu.")  # fmt: skip
    batch = batch_symbol(signature)
    return Rim(tuple(inputs), tuple(outputs), {symbol: ranges[symbol] for symbol in sorted(free)}, batch if batch in free else None)


def _slot(value: ValueInfoProto) -> Slot:
    held = value.type.tensor_type
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(held.elem_type)).name
    shape = [size.dim_param or (size.dim_value if size.HasField("dim_value") else f"{value.name}_{axis}")
             for axis, size in enumerate(held.shape.dim)]  # fmt: skip
    return Slot(value.name, dtype, tuple(shape))


def _usual(package: Package, contract: Contract | None, symbol: str) -> tuple[int, int, int]:
    """From the golden rows: anything up to their largest, or up to the codec's limit; the median is usual."""
    axes = {name: package.signature.input(name).shape.index(symbol) for name in carriers(package.signature, symbol)}
    held = [case.inputs[name].shape[axis] for case in (contract.cases if contract else ()) for name, axis in axes.items()
            if name in case.inputs]  # fmt: skip
    names = set(axes)
    steps = [step.get("options", {}).get("max_length") for step in package.content.codec if set(step["produces"]) & names]
    limits = [limit for limit in steps if isinstance(limit, int)]
    if not held and not limits:
        raise UnsupportedError(f"The dimension {symbol!r} may have any size, and an engine needs a largest one",
                               got=", ".join(sorted(names)),
                               fix=f"Say which: sizes={{{symbol!r}: [1, 64, 256]}} (least, usual, largest).")  # fmt: skip
    most = max([*held, *limits[:1]])
    low = 1 if limits else min(held)
    usual = int(np.median(held)) if held else most
    return max(1, low), max(1, usual), max(1, most)


def _sizes(option: str, given: Any) -> tuple[int, int, int]:
    values = list(cast("Iterable[Any]", given)) if isinstance(given, Iterable) and not isinstance(given, str) else []
    if not values or len(values) > 3 or not all(type(value) is int and value > 0 for value in values):
        raise UnsupportedError(f"The option {option} is not a list of sizes", got=repr(given),
                               expected="one to three whole numbers: least, usual, largest, such as [1, 8, 64]")  # fmt: skip
    held = sorted(values)
    return held[0], held[len(held) // 2], held[-1]


def _by_symbol(asked: Any) -> Mapping[str, Any]:
    if asked is not None and not isinstance(asked, Mapping):
        raise UnsupportedError("The option sizes names no dimensions", got=repr(asked),
                               expected='an object, such as {"sequence": [1, 16, 64]}')  # fmt: skip
    return cast("Mapping[str, Any]", asked or {})
