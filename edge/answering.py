"""What the local doors and the watchdog need of an agent, and no more: a seam, so that neither knows the other's insides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..sdk.core.codec.step import WireField
from ..sdk.core.door_gate import Flag
from ..sdk.core.signature import Array, Signature


class Told(Protocol):
    """A receipt."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        ...


class Answered(Protocol):
    """One answer: outputs by name, who gave them, and what was accepted although it was unusual."""

    @property
    def outputs(self) -> Mapping[str, Array]:
        """By name, with the signature's batch axes."""
        ...

    @property
    def receipt(self) -> Told:
        """Who answered, why, and what it cost."""
        ...

    @property
    def flags(self) -> Sequence[Flag]:
        """What the door accepted but noticed."""
        ...


class Answering(Protocol):
    """Something that answers, from any thread."""

    @property
    def signature(self) -> Signature | None:
        """Of what answers now; None while nothing does. A new release brings a new object."""
        ...

    @property
    def fields(self) -> Sequence[WireField]:
        """What a caller sends: `Codec.wire_fields(signature)`."""
        ...

    def predict(self, inputs: Mapping[str, Any], *, entity: str | None = None, event_ms: int | None = None) -> Answered:
        """Answer a batch by wire field.

        Raises:
            InputError: the caller's fault.
            EngineError: nothing could answer; `reason` "busy" where a moment later something may.
        """
        ...

    def status(self) -> dict[str, Any]:
        """What runs here, JSON-ready."""
        ...
