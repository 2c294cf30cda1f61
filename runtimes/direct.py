"""The direct way through a session: what is sent goes straight into the engine's own memory, and answers are copied out of it.

Most calls hold nothing unusual: arrays of the right dtype and shape, known names, numbers in range. For those, what the codec, the
door and the session do to an input is known when the session is opened, and a segment that has memory of its own takes them
without anything in between. The direct way answers such calls as the general one does, bit by bit, and declines all others, which
then go through the general one from the start: it raises nothing but what the engine raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from ..sdk.core.codec.category import Categories
from ..sdk.core.codec.codec import Codec
from ..sdk.core.codec.number import Number
from ..sdk.core.door import Door
from ..sdk.core.door_gate import Gate
from ..sdk.core.signature import NUMPY, Array, Shape, Signature
from .canvas import size_name

Direct: TypeAlias = Callable[[Any], "dict[str, Array] | None"]
"""What a caller sends -> outputs in the signature's order and dtypes, or None: go the general way. Raises EngineError."""


@dataclass(frozen=True)
class Entry:
    """How one input of a program is taken from what a caller sends.

    Attributes:
        field: what callers call it.
        name: the program's value.
        dtype: at the program's rim.
        shape: what the door wants, of which symbols have one size in the whole call; None without a door.
        arrays: an array of this very dtype, and of the shape that the engine wants, is taken.
        wide: a small array of this dtype is taken too, and narrowed.
        numbers: a list of numbers is taken: one per row, or a list per row.
        codes: a list of names is taken, of these.
        limits: (lowest, highest) that is taken; None where the door lets everything in.
        nan: floats without limits: NaN is taken.
        size: a canvas: the program's value that holds the true sizes. Images of one size are taken.
    """

    field: str
    name: str
    dtype: np.dtype[Any]
    shape: Shape | None = None
    arrays: bool = True
    wide: np.dtype[Any] | None = None
    numbers: bool = False
    codes: Mapping[Any, int] | None = None
    limits: tuple[float, float] | None = None
    nan: bool = True
    size: str | None = None


@runtime_checkable
class Directly(Protocol):
    """What a segment offers that has memory of its own for inputs and outputs."""

    def direct(self, entries: Sequence[Entry], answer: Sequence[tuple[str, np.dtype[Any]]]) -> Direct | None:
        """The direct way of calls that send exactly these fields, for these outputs; None where it has none."""
        ...


def entries_of(signature: Signature, door: Door | None, names: Sequence[str]) -> list[Entry] | None:
    """What `Session.run` takes: the signature's inputs behind a door, the program's inputs `names` without one.

    None where an input has to be looked at whatever it holds.
    """
    if door is None:
        dtypes = {spec.name: NUMPY[spec.rim_dtype] for spec in signature.inputs}
        return [Entry(name, name, dtypes.get(name, np.dtype(np.int32))) for name in names]
    return _all([_entry(gate) for gate in door.gates])


def wire_entries(signature: Signature, door: Door | None, codec: Codec, names: Sequence[str]) -> list[Entry] | None:
    """What `Session.predict` takes, in front of the codec; None as for `entries_of`."""
    typed = entries_of(signature, door, names)
    if typed is None or door is None:
        return None
    steps = {name: bound for bound in codec.bound for name in bound.produces}
    fields = {field.name for field in codec.fields}
    found: list[Entry | None] = []
    for entry, gate in zip(typed, door.gates, strict=True):
        bound = steps.get(entry.name)
        if bound is None:
            found.append(None if entry.name in fields else entry)
        elif len(bound.produces) == 1 and entry.size is None:
            found.append(_encoded(entry, gate, bound.field, bound.step))
        else:
            found.append(None)
    return _all(found)


def _all(entries: Sequence[Entry | None]) -> list[Entry] | None:
    """All of them; None where one has no way, or two are made of one field: fields are counted."""
    found = [entry for entry in entries if entry is not None]
    return found if len(found) == len(entries) == len({entry.field for entry in found}) else None


def _entry(gate: Gate) -> Entry | None:
    spec = gate.spec
    if gate.rim.kind not in "iufb":
        return None
    if spec.canvas is not None:
        shape = (*spec.shape[:1], *spec.canvas, *spec.shape[3:])
        return Entry(gate.name, gate.name, gate.rim, shape, size=size_name(gate.name)) if len(shape) == len(spec.shape) else None
    # out of range is nothing to `run` where it is only flagged: the flags are the caller's who asked for them at the door
    judged = gate.coded or (spec.on_range == "reject" and gate.float) or (spec.on_range != "flag" and gate.ranged)
    return Entry(gate.name, gate.name, gate.rim, spec.shape, wide=gate.wide, numbers=gate.float and gate.wide is not None,
                 limits=gate.usual if judged else None, nan=spec.missing)  # fmt: skip


def _encoded(entry: Entry, gate: Gate, field: str, step: object) -> Entry | None:
    """An input that a step makes. Only the steps whose work is known here; what they do not take as it is goes the general way."""
    if type(step) is Categories and gate.rim == np.dtype(np.int32):
        low, high = gate.usual
        codes = {name: code for name, code in step.codes.items() if low <= code <= high}
        return Entry(field, entry.name, entry.dtype, entry.shape, arrays=False, codes=codes)
    if type(step) is Number and entry.numbers:
        return Entry(field, entry.name, entry.dtype, entry.shape, arrays=False, numbers=True, limits=entry.limits)
    return None
