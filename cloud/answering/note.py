"""What is written down of an answer while the caller waits: a tuple. The writer's thread makes the record of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...sdk.core.records import RECORD_VERSION, REDACTED, Receipt, Record, described
from ...sdk.core.signature import Array, Signature
from ...sdk.core.traits import TraitKind, as_sent, kept_kinds, traits
from ..records.draft import Row, Write
from .chain import ModelEntry
from .consistency import NOBODY, Author

NOTHING: Mapping[str, Any] = {}


class About(NamedTuple):
    """What all notes of an engine have in common.

    Attributes:
        name, digest: of the deployment.
        signature: which says what is redacted.
        kinds: input fields whose traits are kept; none that is redacted.
        texts: those that are looked at as they were sent.
        hides: an input or output of a model is redacted, and so are boundaries, whose values were made of it.
        hidden: fields of which records keep nothing, not even in a flag.
    """

    name: str
    digest: str
    signature: Signature
    kinds: Mapping[str, TraitKind] = NOTHING
    texts: tuple[str, ...] = ()
    hides: bool = False
    hidden: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, digest: str, models: Sequence[ModelEntry], with_traits: bool = True) -> About:
        """Of an engine by its models, the champion first."""
        signature, hides = models[0].signature, any(map(hidden_fields, (model.signature for model in models)))
        fields = models[0].codec.wire_fields(signature)
        kinds = kept_kinds(signature, fields) if with_traits else dict[str, TraitKind]()
        return cls(name, digest, signature, kinds, as_sent(kinds, signature, fields), hides, frozenset(hidden_fields(signature)))


def hidden_fields(signature: Signature) -> set[str]:
    """Fields of which records keep nothing."""
    return {spec.name for spec in (*signature.inputs, *signature.outputs) if spec.redact or spec.stays_on_device}


def flags_kept(flags: Iterable[Any], hidden: Collection[str]) -> tuple[dict[str, Any], ...]:
    """What was odd, as records keep it: of a hidden field, that it was odd and not how."""
    said = (flag._asdict() for flag in flags)
    return tuple({**flag, "value": None} if flag["field"] in hidden else flag for flag in said)


class Note(NamedTuple):
    """A draft of a record (see `records.draft.Drafted`).

    Attributes:
        entity, event_ms, parent: see Question.
        tapped: values of boundaries, "boundary/value".
        sent: texts as they were sent, by field.
    """

    receipt: Receipt
    entity: str | None
    event_ms: int | None
    parent: str | None
    author: Author
    flags: tuple[Any, ...]
    server_ms: int
    about: About
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Array]
    tapped: Mapping[str, Array] = NOTHING
    sent: Mapping[str, Any] = NOTHING

    @property
    def signature(self) -> Signature:
        """Which says what is redacted."""
        return self.about.signature

    @property
    def record(self) -> Record:
        """The record, without its tensors and features."""
        return Record.quick(**self.values())

    def values(self) -> dict[str, Any]:
        """The record's fields, without its tensors and features: all of them, for a row is made of these without a record."""
        receipt, author, about, moment = self.receipt, self.author, self.about, self.server_ms
        return {
            "id": receipt.record, "server_ms": moment, "event_ms": self.event_ms or moment, "entity": self.entity,
            "package": author.package, "artifact": author.artifact, "deployment": about.digest, "name": about.name, "arm": author.arm,
            "propensity": 1.0, "selection": 0.0, "selection_reason": None, "decided_by": author.decided_by,
            "exposed": self.parent is None and author is not NOBODY, "parent": self.parent, "device": None, "sequence": None,
            "inputs": NOTHING, "features": NOTHING, "outputs": NOTHING, "receipt": receipt.to_dict(),
            "flags": flags_kept(self.flags, self.about.hidden) if self.flags else (), "version": RECORD_VERSION,
        }  # fmt: skip

    def columns(self, write: Write, limit_bytes: int) -> Row | None:
        """The row, where there are no flags, traits and boundaries: what `values` says, without a dict between."""
        receipt, entity, event_ms, parent, author, flags, moment, about, inputs, outputs, tapped, _ = self
        name, digest, signature, kinds, _, _, _ = about
        if flags or kinds or tapped or (said := receipt.text()) is None:
            return None
        _, _, _, _, package, artifact, arm, decided_by = author
        exposed = 1 if parent is None and author is not NOBODY else 0
        taken, given = write(inputs, outputs, signature, limit_bytes)
        return (
            receipt.record, moment, event_ms or moment, entity, package, artifact, digest, name, arm, 1.0, 0.0, None, decided_by, exposed,
            parent, None, None, taken, "{}", given, said, "[]", RECORD_VERSION,
        )  # fmt: skip

    def features(self, limit_bytes: int) -> Mapping[str, Any]:
        """Traits of the raw inputs and values of boundaries, as records keep them."""
        if not self.tapped and not self.about.kinds:
            return NOTHING
        found: dict[str, Any] = {}
        if self.about.kinds:
            found["traits"] = traits({**self.inputs, **self.sent}, self.about.kinds)
        for name, array in self.tapped.items():
            boundary, _, value = name.partition("/")
            found.setdefault(boundary, {})[value] = dict(REDACTED) if self.about.hides else described(array, limit_bytes)
        return found


class NoteAround:
    """A note that more is written down with. What a subclass does not say is the note's."""

    __slots__ = ("note",)

    def __init__(self, note: Note) -> None:
        self.note = note

    @property
    def record(self) -> Record:
        """The record of the note, with what is added."""
        return Record.quick(**self.values())

    def values(self) -> dict[str, Any]:
        """Those of the record."""
        return self.note.values()

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Of the note, as everything below."""
        return self.note.inputs

    @property
    def outputs(self) -> Mapping[str, Array]:
        """What the model said, whoever was given it."""
        return self.note.outputs

    @property
    def tapped(self) -> Mapping[str, Array]:
        """Values of boundaries."""
        return self.note.tapped

    @property
    def sent(self) -> Mapping[str, Any]:
        """Texts as they were sent."""
        return self.note.sent

    @property
    def signature(self) -> Signature:
        """Which says what is redacted."""
        return self.note.signature

    def columns(self, write: Write, limit_bytes: int) -> Row | None:
        """None: more is written down than the note's row holds."""
        return None

    def features(self, limit_bytes: int) -> Mapping[str, Any]:
        """As they are kept."""
        return self.note.features(limit_bytes)
