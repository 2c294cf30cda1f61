"""Drafts of records in a rollout: an answer with its arm, and a shadow's answer beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...sdk.core.records import RECORD_VERSION, SHADOW, Receipt, Record
from ...sdk.core.signature import Array, Signature
from ..answering.note import NOTHING, About, Note, NoteAround
from ..records.draft import Write
from .assigning import Arm
from .slices import Fields

ROLLOUT = "rollout"
"""Under `features` of a record: {"id", "assigned", "slices": {field: [a text per row]}}, of a shadow with "agrees": [a bool per row]."""


class ArmNote(NoteAround):
    """A note whose record says which arm its request was given."""

    __slots__ = ("arm", "fields")

    def __init__(self, note: Note, arm: Arm, fields: Fields) -> None:
        super().__init__(note)
        self.arm, self.fields = arm, fields

    def values(self) -> dict[str, Any]:
        """Those of the record, with the probability of its arm."""
        return {**self.note.values(), "propensity": self.arm.propensity}

    def features(self, limit_bytes: int) -> Mapping[str, Any]:
        """As they are kept, with the arm."""
        said = {"id": self.arm.rollout, "assigned": self.arm.assigned, **sliced(self.fields, self.note.inputs)}
        return {**self.note.features(limit_bytes), ROLLOUT: said}


class ShadowNote(NamedTuple):
    """A challenger's answer that nobody was given. The inputs are in the record of its parent.

    Attributes:
        parent: the record of the champion's answer.
        package, artifact: digests of the challenger and of what was compiled from it.
        about: of the champion's engine.
        rollout: its id.
        agrees: per row, whether it decides as the champion did; None: it did not answer, or there is no decision.
        asked: the champion's typed inputs, for the slices.
    """

    receipt: Receipt
    entity: str | None
    event_ms: int | None
    parent: str
    package: str
    artifact: str
    about: About
    server_ms: int
    rollout: str
    agrees: list[bool] | None
    outputs: Mapping[str, Array]
    asked: Mapping[str, Any]
    fields: Fields

    @property
    def record(self) -> Record:
        """The record, without its tensors and features."""
        return Record.quick(**self.values())

    def values(self) -> dict[str, Any]:
        """The record's fields, without its tensors and features."""
        return {
            "id": self.receipt.record, "server_ms": self.server_ms, "event_ms": self.event_ms or self.server_ms, "entity": self.entity,
            "package": self.package, "artifact": self.artifact, "deployment": self.about.digest, "name": self.about.name, "arm": SHADOW,
            "propensity": 1.0, "selection": 0.0, "selection_reason": None, "decided_by": "model", "exposed": False, "parent": self.parent,
            "device": None, "sequence": None, "inputs": NOTHING, "features": NOTHING, "outputs": NOTHING, "receipt": self.receipt.to_dict(),
            "flags": (), "version": RECORD_VERSION,
        }  # fmt: skip

    @property
    def inputs(self) -> Mapping[str, Any]:
        """None: the parent has them."""
        return NOTHING

    @property
    def tapped(self) -> Mapping[str, Array]:
        """None."""
        return NOTHING

    @property
    def sent(self) -> Mapping[str, Any]:
        """None."""
        return NOTHING

    @property
    def signature(self) -> Signature:
        """The champion's, which says what is redacted."""
        return self.about.signature

    def columns(self, write: Write, limit_bytes: int) -> tuple[Any, ...] | None:
        """None: it has features."""
        return None

    def features(self, limit_bytes: int) -> Mapping[str, Any]:
        """Which rollout, and whether it decides alike."""
        agrees = {} if self.agrees is None else {"agrees": self.agrees}
        return {ROLLOUT: {"id": self.rollout, "assigned": SHADOW, **agrees, **sliced(self.fields, self.asked)}}


def sliced(fields: Fields, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of slices; nothing where there are none."""
    return {"slices": fields.texts(inputs)} if fields else {}
