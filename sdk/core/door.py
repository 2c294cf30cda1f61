"""The door: arrays against a Signature, before anything runs.

dtype, shape and required inputs are enforced; ranges and unknown categories are accepted and flagged, unless the
signature says reject or clamp. What leaves the door is contiguous, in the dtypes of the program's rim, and passes the
door again unchanged.

    >>> door = Door(Signature((TensorSpec("age", "f64", ("batch",), range=(0, 120)),), ()))
    >>> checked = door.check({"age": [41, 130]})
    >>> checked.arrays["age"].dtype, checked.flags
    (dtype('float32'), (Flag(field='age', row=1, why='range', value=130.0),))

Rules that are choices:
- lists are read as JSON: null is NaN for floats and MISSING_CODE for categories; booleans are never numbers.
- integers fit float fields; floats fit integer fields only where every value is integral (JSON has one kind of number).
- floats are narrowed to nearest; a number that the signature's dtype cannot hold is refused, for integers and floats alike.
- an infinity is outside every range that does not name it, and outside "no range" too.
- a code that is neither known, MISSING_CODE nor UNKNOWN_CODE becomes UNKNOWN_CODE and is flagged.
- a dimension with a name has at least one element, and one length in the whole request.
- an absent, non-required input takes its default; the inputs of state pairs are left to the session.
- images of any size (`canvas`) may be a list of arrays; padding them is the session's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .door_gate import Dims, Flag, Gate
from .refusal import refusal
from .signature import Signature

__all__ = ["Checked", "Door", "Flag"]


class Checked(NamedTuple):
    """What passed: arrays in rim dtypes (a list of arrays for images of different sizes), and flags."""

    arrays: dict[str, Any]
    flags: tuple[Flag, ...]


class Door:
    """A signature, prepared so that small requests cost a few microseconds. Immutable and thread-safe.

    Attributes:
        gates: one per input, in the signature's order.
    """

    def __init__(self, signature: Signature) -> None:
        state = {pair.input for pair in signature.state}
        self.gates = tuple(Gate(spec, state=spec.name in state) for spec in signature.inputs)
        self._admits = tuple((gate.name, gate.admit) for gate in self.gates)

    def check(self, inputs: Mapping[str, Any]) -> Checked:
        """Enforce the signature on named arrays (or nested lists).

        Returns:
            Checked: arrays in the signature's order; inputs that need no change are not copied.

        Raises:
            InputError: naming the field, and the row where there is one.
        """
        flags: list[Flag] = []
        arrays = self.admit(inputs, flags)
        return Checked(arrays, tuple(flags))

    def admit(self, inputs: Mapping[str, Any], flags: list[Flag]) -> dict[str, Any]:
        """As `check`: the arrays, with the flags added to `flags`. Raises as `check` does."""
        arrays: dict[str, Any] = {}
        dims: Dims = {}
        for name, admit in self._admits:
            if name in inputs:
                arrays[name] = admit(inputs[name], dims, flags)
        if len(arrays) != len(inputs):
            self._refuse_unknown(inputs)
        if len(arrays) != len(self._admits):
            arrays = self._filled(arrays, dims, flags)
        return arrays

    def _filled(self, given: Mapping[str, Any], dims: Dims, flags: list[Flag]) -> dict[str, Any]:
        """With the defaults of absent inputs, in the signature's order."""
        arrays = dict(given)
        for gate in self.gates:
            if gate.name not in arrays:
                gate.fill(arrays, dims, flags)
        return {gate.name: arrays[gate.name] for gate in self.gates if gate.name in arrays}

    def _refuse_unknown(self, inputs: Mapping[str, Any]) -> None:
        known = {gate.name for gate in self.gates}
        for name in inputs:
            if name not in known:
                raise refusal("there is no such input", str(name)[:60], expected=", ".join(gate.name for gate in self.gates))
