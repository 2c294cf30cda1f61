"""The calls of a contract: chosen rows in batches, rows with edge values, every dimension at 1, 2 and large, sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ..sdk.core import golden
from ..sdk.core.signature import Array, Signature
from .firm import Firmness
from .state import bound_dimensions, initial

Source = Callable[[Mapping[str, Array]], dict[str, Array]]
STEPS, SEQUENCES = 16, 4
"""Steps of a sequence of a stateful model, and sequences."""
_LOOKED_AT = 2
"""Rows whose margins are measured, so many times the rows that are chosen."""


@dataclass(frozen=True)
class Call:
    """Inputs of native dtype that the source and the program are asked.

    Attributes:
        why: per row the rule that chose it.
        slices: slice name -> group per row.
        sequence: see `Case`.
        state: initial state, for the first step of a sequence.
    """

    inputs: Mapping[str, Any]
    why: tuple[str, ...]
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    sequence: str | None = None
    state: Mapping[str, Array] = field(default_factory=dict[str, Array])


def main_calls(signature: Signature, inputs: Mapping[str, Any], slices: Mapping[str, Array], row_bytes: float,
               firmness: Firmness, wanted: int, seed: int) -> list[Call]:  # fmt: skip
    """The chosen rows: one batch, or batches of the model's fixed size, of one image size, or steps of sequences."""
    state = {pair.input for pair in signature.state}
    given = {name: values for name, values in inputs.items() if name not in state}
    rows = golden.rows_of(signature, given)
    if signature.state:
        return list(_sequences(signature, given, rows))
    some = _candidates(rows, row_bytes, wanted, seed)
    named = {name: np.asarray(held).astype(str)[some] for name, held in slices.items()}
    chosen = golden.select(len(some), row_bytes, named, _margins(signature, given, some, firmness), seed, wanted)
    picked = [(int(some[place]), why) for place, why in chosen]
    return [_call(signature, given, slices, batch) for batch in _batches(signature, given, picked)]


def long_calls(signature: Signature, inputs: Mapping[str, Any], most: int) -> list[Call]:
    """One sequence of up to `most` steps: for a memory that has to fill before the answers move."""
    state = {pair.input for pair in signature.state}
    given = {name: values for name, values in inputs.items() if name not in state}
    return list(_sequences(signature, given, golden.rows_of(signature, given), most, 1))


def more_calls(signature: Signature, source: Source, calls: Sequence[Call], notes: list[str]) -> Iterator[Call]:
    """Edge values and dimensions, as far as the source itself can answer them; what it refuses goes into `notes`."""
    if signature.state or golden.fixed_rows(signature) is not None or not golden.batched(signature):
        return
    first = calls[0].inputs
    yield from (Call(golden.take(signature, first, range(size)), ("dims:batch",) * size) for size in (1, 2) if size <= len(calls[0].why))
    edge_rows = golden.edges(signature, golden.take(signature, first, [0]))
    answered = [(why, row) for why, row in edge_rows if _answers(source, row, f"a row with {why}", notes)]
    if answered:
        yield Call(_joined(signature, [row for _, row in answered]), tuple(why for why, _ in answered))
    few = golden.take(signature, first, range(min(2, len(calls[0].why))))
    for name, dimension in golden.free_dimensions(signature).items():
        for size in golden.sizes_of(dimension, few):
            made = golden.resized(dimension, few, size)
            if _answers(source, made, f"dimension {name} at {size}", notes):
                yield Call(made, (f"dims:{name}={size}",) * golden.rows_of(signature, made))


def _answers(source: Source, inputs: Mapping[str, Any], what: str, notes: list[str]) -> bool:
    try:
        source(inputs)
    except Exception as error:  # whatever the user's model raises: the contract cannot ask what the source cannot answer
        notes.append(f"the source refuses {what}: {type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}")
        return False
    return True


def _candidates(rows: int, row_bytes: float, wanted: int, seed: int) -> Array:
    """Rows to look at: so few that measuring their margins costs little."""
    room = max(golden.LEAST, min(int(golden.BYTES / max(row_bytes, 1.0)), max(golden.FEWEST, min(wanted, golden.MOST))))
    return np.sort(np.random.default_rng(seed).permutation(rows)[: _LOOKED_AT * room])


def _margins(signature: Signature, inputs: Mapping[str, Any], rows: Array, firmness: Firmness) -> Array | None:
    if golden.fixed_rows(signature) is not None or _sizes(signature, inputs):
        return None
    return firmness.margins(golden.take(signature, inputs, rows))


def _sizes(signature: Signature, inputs: Mapping[str, Any]) -> bool:
    """Some input is a list of images that may differ in size."""
    return any(not isinstance(inputs[spec.name], np.ndarray) for spec in golden.batched(signature) if spec.name in inputs)


def _batches(signature: Signature, inputs: Mapping[str, Any], chosen: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    fixed = golden.fixed_rows(signature)
    if fixed is not None:
        whole = len(chosen) // fixed * fixed
        return [chosen[start : start + fixed] for start in range(0, whole, fixed)]
    if not _sizes(signature, inputs):
        return [chosen]
    groups: dict[tuple[Any, ...], list[tuple[int, str]]] = {}
    images = [spec.name for spec in golden.batched(signature) if not isinstance(inputs[spec.name], np.ndarray)]
    for row, why in chosen:
        alike = tuple(np.shape(inputs[name][row]) for name in images)
        groups.setdefault(alike, []).append((row, why))
    return sorted(groups.values(), key=len, reverse=True)


def _call(signature: Signature, inputs: Mapping[str, Any], slices: Mapping[str, Array], chosen: list[tuple[int, str]]) -> Call:
    rows = [row for row, _ in chosen]
    grouped = {name: tuple(str(group) for group in np.asarray(held)[rows]) for name, held in slices.items()}
    return Call(golden.take(signature, inputs, rows), tuple(why for _, why in chosen), grouped)


def _sequences(signature: Signature, inputs: Mapping[str, Any], rows: int, length: int = STEPS, most: int = SEQUENCES) -> Iterator[Call]:
    """Consecutive rows as steps, in the order they were given; each step is one row (or the fixed number of rows)."""
    width = golden.fixed_rows(signature) or 1
    steps = [list(range(start, start + width)) for start in range(0, rows // width * width, width)]
    for number, start in enumerate(range(0, min(len(steps), length * most), length)):
        for step in steps[start : start + length]:
            taken = golden.take(signature, inputs, step)
            dimensions = bound_dimensions(signature, taken)
            state = {pair.input: initial(signature, pair, dimensions) for pair in signature.state}
            yield Call(taken, ("sequence",) * width, {}, f"{number}", state)


def _joined(signature: Signature, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """One-row inputs as one batch."""
    axes = {spec.name: spec.batch_axis or 0 for spec in golden.batched(signature)}
    joined: dict[str, Any] = {}
    for name, first in rows[0].items():
        parts = [row[name] for row in rows]
        if name not in axes:
            joined[name] = first
        elif isinstance(first, np.ndarray):
            joined[name] = np.concatenate(cast("list[Array]", parts), axis=axes[name])
        else:
            joined[name] = [image for part in parts for image in part]
    return joined
