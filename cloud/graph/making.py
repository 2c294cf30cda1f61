"""Making the contract of a graph: real rows as requests, the packages' answers in float, which rows are firm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ...sdk.core.contract import Case, Contract
from ...sdk.core.errors import InputError
from ...sdk.core.kinds import rules_of
from ...sdk.core.replacing import replace_file
from ...sdk.core.signature import Array
from .golden import METADATA, golden_file, rows_in_front
from .referring import Reference
from .resolving import ResolvedGraph

ROWS_PER_REQUEST = 16


def make_golden(resolved: ResolvedGraph, inputs: Mapping[str, Any], rows: int = 64) -> Path:
    """Write the contract: requests of real rows and the answers that the packages give in float.

    Args:
        resolved: the graph.
        inputs: field of the request -> batch.
        rows: of `inputs`, the first so many.

    Raises:
        InputError: the rows do not fit the graph.
    """
    reference = Reference(resolved)
    try:
        wires = list(_requests(resolved, inputs, rows))
        answers = [rows_in_front(resolved.signature, reference.answer(wire)) for wire in wires]
        rules = rules_of(resolved.signature, {spec.name: [one[spec.name] for one in answers] for spec in resolved.signature.outputs})
        cases = [Case({name: _stored(value) for name, value in wire.items()}, answer, reference.firm(wire, answer, rules),
                      why=("random",) * max(len(array) for array in answer.values()))
                 for wire, answer in zip(wires, answers, strict=True)]  # fmt: skip
    finally:
        reference.close()
    head, tensors = Contract(tuple(cases), rules).to_bytes()
    packages = {step.plan.name: step.resolved.champion.digest for step in resolved.steps}
    metadata = {METADATA: json.dumps({"contract": head.decode(), "packages": packages})}  # one key: the order of several is not kept
    return _replaced(golden_file(resolved), save(load(tensors), metadata))


def _replaced(path: Path, content: bytes) -> Path:
    """Write a file, all of it or nothing."""
    replace_file(path, content)
    return path


def _requests(resolved: ResolvedGraph, inputs: Mapping[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    """The rows as requests: in small ones, or in one where rows compete for places."""
    if unknown := sorted(set(inputs) - set(resolved.fields)):
        raise InputError("The graph has no such field", field=unknown[0], expected=", ".join(resolved.fields))
    cut = resolved.plan.cut is not None or any(step.plan.cut is not None for step in resolved.steps)
    axes = {name: field.axis for name, field in resolved.fields.items() if name in inputs and field.axis is not None}
    count = min(min((np.asarray(inputs[name]).shape[axis] if axis else len(inputs[name]) for name, axis in axes.items()), default=1), rows)
    size = count if cut else ROWS_PER_REQUEST
    for start in range(0, count, size):
        chosen = np.arange(start, min(start + size, count))
        yield {name: _some(value, chosen, axes[name]) if name in axes else value for name, value in inputs.items()}


def _some(value: Any, chosen: Array, axis: int) -> Any:
    return np.take(value, chosen, axis=axis) if isinstance(value, np.ndarray) else [value[row] for row in chosen.tolist()]


def _stored(value: Any) -> Array:
    """A field as the contract keeps it: numbers as they are, everything else as text."""
    array = np.asarray(value)
    if array.dtype.kind in "fiub":
        return array
    held = np.empty(len(value), object)
    held[:] = list(value)
    if any(isinstance(item, bytes | bytearray | np.ndarray) for item in held):
        raise InputError("Golden requests hold images as base64 text of a file", got=type(held[0]).__name__)
    return held
