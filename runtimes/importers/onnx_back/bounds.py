"""Which values cannot be negative: places that need no counting from the back."""

from __future__ import annotations

from collections.abc import Sequence

from .call import Constant, Value

_MOVES = ("Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Expand", "Tile", "Transpose", "Slice", "Cast")
_LOOKUPS = ("Gather", "GatherElements", "GatherND")
_ALWAYS = {"ArgMax", "ArgMin", "Abs", "Relu", "Shape", "Size"}
_READS = dict.fromkeys(_MOVES + _LOOKUPS, (0,)) | {"Where": (1, 2)}
_EVERY = {"Concat", "Add", "Mul", "Min", "Sum"}
_ANY = {"Max"}


def known(value: Value | None) -> bool:
    """Whether a constant holds no negative number; nothing is known of a tensor."""
    return isinstance(value, Constant) and value.array.dtype.kind in "iufb" and bool((value.array >= 0).all())


def follows(kind: str, inputs: Sequence[bool]) -> bool:
    """Whether the first output of an operator cannot be negative, given which inputs cannot."""
    if kind in _ALWAYS:
        return True
    if kind == "Clip":
        return len(inputs) > 1 and inputs[1]
    if kind in _ANY:
        return any(inputs)
    reads = range(len(inputs)) if kind in _EVERY else _READS.get(kind, ())
    return bool(reads) and all(index < len(inputs) and inputs[index] for index in reads)
