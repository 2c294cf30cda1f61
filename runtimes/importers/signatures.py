"""The Signature of an imported program: what was inferred, the user's edits, state pairs. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.signature import Signature, StatePair, TensorSpec
from .program import ImportOptions


def make_signature(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], options: ImportOptions) -> Signature:
    """The Signature: the user's edits win over all but the traced shapes, and state pairs are checked."""
    edited = {spec.name: spec for spec in options.signature.outputs} if options.signature else {}
    merged = [replace(edited.get(spec.name, spec), dtype=spec.dtype, shape=spec.shape, batch_axis=spec.batch_axis) for spec in outputs]
    signature = Signature(tuple(inputs), tuple(merged))
    given = options.signature.state if options.signature else ()
    pairs = state_pairs(signature, options.state)
    return replace(signature, state=(*(pair for pair in given if pair.output not in options.state), *pairs))


def state_pairs(signature: Signature, state: Mapping[str, tuple[str, Any]]) -> tuple[StatePair, ...]:
    """The declared state pairs. Raises InputError where a pair names no output or input, or the shapes do not fit."""
    pairs: list[StatePair] = []
    for output, (name, initial) in state.items():
        if output not in {spec.name for spec in signature.outputs} or name not in {spec.name for spec in signature.inputs}:
            raise InputError("state= names a tensor that is not there", field=output, got=f"{output!r} -> {name!r}",
                             expected="{output: (input, initial value)}")  # fmt: skip
        spec, array = signature.input(name), np.asarray(initial)
        if array.ndim and (array.ndim != len(spec.shape) or not _fits(array.shape, spec.shape)):
            raise InputError("An initial state does not have its input's shape", field=name, got=array.shape, expected=spec.shape)
        flat = array.ravel()
        uniform = bool(np.all(flat == flat[0]))
        pairs.append(StatePair(output, name, spec.shape, flat[0].item() if uniform else array.tolist()))
    return tuple(pairs)


def _fits(shape: Sequence[int], symbolic: Sequence[int | str]) -> bool:
    return all(isinstance(dim, str) or dim == size for size, dim in zip(shape, symbolic, strict=True))
