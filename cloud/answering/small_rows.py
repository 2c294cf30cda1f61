"""The record of a small answer, of which nothing is unusual, as a row from the start: what a note of it would become, without the note."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...sdk.core.records import RECORD_VERSION, Receipt
from ...sdk.core.signature import Array
from ..records.draft import OWN_BYTES, Row, row_bytes
from ..records.rows import few, usual
from .consistency import Author
from .note import About
from .walk import Walk

MANY_AUTHORS = 64
"""Of whom parts are kept; an engine has as many as its chain has entries, and some of versions before it that a cache still names."""


class SmallRows:
    """Makes rows. One per engine, on its event loop.

    Args:
        about: what all its records have in common.
        most_bytes: of the tensors of a row. 0: none is small.
    """

    def __init__(self, about: About, most_bytes: int) -> None:
        self._digest, self._name = about.digest, about.name
        self._row_bytes = row_bytes(about.signature)
        plain = self._row_bytes is not None and not about.kinds and usual(about.signature)
        self._most = most_bytes if plain else 0
        self._parts: dict[int, tuple[Author, tuple[str, str, str, str]]] = {}

    def size(self, walk: Walk) -> int | None:
        """About the bytes that a draft of the answer keeps alive, where that is known without looking at it."""
        return None if walk.tapped or self._row_bytes is None else OWN_BYTES + walk.rows * self._row_bytes

    def made(self, walk: Walk, by: Author, outputs: Mapping[str, Array], receipt: Receipt, size: int | None) -> Row | None:
        """The row of an answer, whose outputs the walk has as text then; None where something about it is unusual, or it is not small."""
        arrays, flags = walk.checked
        if flags or size is None or size - OWN_BYTES > self._most or (said := receipt.text()) is None:
            return None
        kept = few(arrays, outputs)
        if kept is None:
            return None
        held = self._parts.get(id(by))
        package, artifact, arm, decided_by = held[1] if held is not None and held[0] is by else self._parts_of(by)
        taken, walk.text = kept
        _, _, entity, event_ms, parent, _ = walk.question
        moment = time.time_ns() // 1_000_000
        return (
            receipt.record, moment, event_ms or moment, entity, package, artifact, self._digest, self._name, arm, 1.0, 0.0, None,
            decided_by, 1 if parent is None else 0, parent, None, None, taken, "{}", walk.text, said, "[]", RECORD_VERSION,
        )  # fmt: skip

    def _parts_of(self, by: Author) -> tuple[str, str, str, str]:
        """As a tuple that is nothing more: a named one, as an author is, takes ten times as long to read."""
        if len(self._parts) >= MANY_AUTHORS:
            self._parts.clear()
        parts = (by.package, by.artifact, by.arm, by.decided_by)
        self._parts[id(by)] = (by, parts)
        return parts
