"""What waits for a person, what they decided, and how it stands: values, no storage.

    >>> item = Item("r1", "a1", 0, "cells", output="label", candidates=(Candidate(1, "defect", 0.55), Candidate(0, "fine", 0.45)))
    >>> item.candidates[0].shown, item.selection
    ('defect', 1.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["pending", "leased", "decided", "expired", "withdrawn"]


@dataclass(frozen=True)
class Candidate:
    """One answer to pick from.

    Attributes:
        value: as outputs stand in records: a code, a number, text.
        shown: what a person reads.
        probability: the model's, in [0, 1]; None: it gave none.
    """

    value: Any
    shown: str
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"value": self.value, "shown": self.shown, "probability": self.probability}


@dataclass(frozen=True)
class Item:
    """One row of one record, for a person to decide.

    Attributes:
        id: UUIDv7; what a caller that waits is given.
        record, row: what it is about.
        deployment: the name.
        priority: higher ones are given out first; see priority.py.
        reason: why a person is asked: "low-confidence", "check", "level", ...
        selection: probability with which this row was chosen, in (0, 1]; datasets weigh by its inverse.
        output: the output that is decided.
        candidates: answers to pick from, the likeliest first; none: the answer is typed.
        payload: wire field -> value to look at: bytes of a picture or a sound, text, a number, None, a list, an array (see payload.py).
            Never fields that are redacted or stay on the device.
        deadline_ms: when the deployment answers in a person's stead; None: it waits. Unix milliseconds, as `created_ms`.
        entity: who or what the request is about; keeps the same one in one split of a dataset.
        package: digest of the package that answered.
        model: the model's own value of the output, whatever the candidates are; None: it gave none.
    """

    id: str
    record: str
    row: int
    deployment: str
    priority: float = 0.0
    reason: str = "low-confidence"
    selection: float = 1.0
    output: str = "label"
    candidates: tuple[Candidate, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])
    deadline_ms: int | None = None
    created_ms: int = 0
    entity: str | None = None
    package: str = ""
    model: Any = None


@dataclass(frozen=True)
class Decision:
    """What a person decided.

    Attributes:
        id: UUIDv7; also the id of the label.
        review: the item.
        values: output -> value, as a label has them.
        at_ms: Unix milliseconds.
        late: the deadline had passed: the caller was answered by the deployment, and this is a label only.
        undone_ms: when it was taken back; None: it holds.
        took_ms: how long the person looked, said by the page; None: not known.
    """

    id: str
    review: str
    reviewer: str
    values: Mapping[str, Any]
    at_ms: int
    late: bool = False
    undone_ms: int | None = None
    note: str = ""
    took_ms: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "values": dict(self.values)}


@dataclass(frozen=True)
class ReviewStatus:
    """How an item stands.

    Attributes:
        state: "leased": somebody looks at it now. "expired": nobody came in time.
        answer: output -> value: a person's, or what the deployment says where nobody came in time; None: there is none (yet).
        by: who decided: a person, or "model" or "default" for an expired one.
        at_ms: when; Unix milliseconds.
    """

    id: str
    state: State
    record: str
    row: int
    deployment: str
    created_ms: int
    deadline_ms: int | None = None
    answer: Mapping[str, Any] | None = None
    by: str | None = None
    at_ms: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as `GET /v1/reviews/{id}` gives it."""
        return {**vars(self), "answer": None if self.answer is None else dict(self.answer)}
