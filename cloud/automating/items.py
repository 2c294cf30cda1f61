"""From an answer to what a person is shown of its rows: items of the review queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...sdk.core.codec.step import WireField
from ...sdk.core.signature import Array, Signature
from ..automation import Route
from ..deployment.review import Review
from ..review.asking import payload
from ..review.candidates import MOST, candidates_of, given
from ..review.item import Candidate, Item
from ..review.priority import priority

CALLER = 1.0
"""Added to the priority of a row whose caller waits: before any check, however unsure that is."""


@dataclass(frozen=True)
class ItemMaker:
    """Makes items of one deployment.

    Attributes:
        name: of the deployment.
        signature: of its champion.
        fields: of its codec.
        output: what is decided.
        review: its section.
    """

    name: str
    signature: Signature
    fields: tuple[WireField, ...]
    output: str
    review: Review

    def item(self, number: str, record: str, row: int, route: Route, wire: Mapping[str, Any], outputs: Mapping[str, Array],
             package: str, entity: str | None, now_ms: int) -> Item:  # fmt: skip
        """One row, for a person.

        Args:
            number: of the review.
            record, row: which answer it is about.
            route: why it is asked.
            wire: what was sent, as the codec takes it.
            outputs: what the model said, in codes; empty where it was not asked.
            package: digest of the package that answered.
        """
        known = candidates_of(outputs, self.signature, self.output, row, max(self.review.candidates, 2)) if outputs else ()
        shown = known if route.answered_by != "person" else self.unled(known)
        pressing = priority(known, self.review.order) + (CALLER if route.waits else 0.0)
        seconds = self.review.deadline_s if route.waits else None
        return Item(
            number, record, row, self.name, pressing, route.reason, route.selection, self.output, shown,
            payload(wire, self.fields, self.signature, row, self.review.audio), None if seconds is None else now_ms + int(seconds * 1000),
            now_ms, entity, package, given(outputs, self.signature, self.output, row) if outputs else None,
        )  # fmt: skip

    def unled(self, known: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Answers to pick from that tell nothing of what the model thinks: in the order of their codes, all of them or none."""
        names = self.signature.output(self.output).categories
        if names is not None and len(names) <= MOST:
            return tuple(Candidate(code, name) for code, name in enumerate(names))
        codes = sorted((held for held in known if isinstance(held.value, int)), key=lambda held: held.value)
        return tuple(replace(held, probability=None) for held in codes) if names is None and len(codes) > 1 else ()
