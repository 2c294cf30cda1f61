"""The engine of a deployment with `[automation]`: every answer passes the dial before it leaves. Without that section none of this runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, cast

from ...sdk.core.chain_answers import default_outputs
from ...sdk.core.records import Receipt, Record
from ...sdk.core.signature import Array
from ..automating.routing import Routes
from .answers import Answer, Pending, Question
from .blanks import covered, nothing
from .books import Books
from .clerk import Clerk
from .consistency import Author
from .engine import Engine
from .note import Note, NoteAround
from .walk import Walk

PEOPLE = Author(-1, "people", "", "people", "", "", "champion", "person")
"""Who answers where the model is not asked."""


class RoutedNote(NoteAround):
    """A note whose record says who decides its rows, and with which probability they were chosen for a person."""

    __slots__ = ("routes",)

    def __init__(self, note: Note, routes: Routes) -> None:
        super().__init__(note)
        self.routes = routes

    @property
    def record(self) -> Record:
        """The record of the note, with that in it."""
        return self.routes.marked(self.note.record)

    def values(self) -> dict[str, Any]:
        """Those of the record."""
        return vars(self.record).copy()


class RoutedBooks(Books):
    """Books that know the routes of the answer that is being entered. `routes` is set right before each entry, on the one event loop."""

    routes, more = Routes((), ()), True

    def _note(self, walk: Walk, by: Author, outputs: Mapping[str, Array], receipt: Receipt) -> Any:
        return RoutedNote(super()._note(walk, by, outputs, receipt), self.routes)


class DialledEngine(Engine):
    """An engine with a dial.

    Args:
        clerk: who routes.
        given, more: as Engine.
    """

    BOOKS = RoutedBooks

    def __init__(self, *given: Any, clerk: Clerk, **more: Any) -> None:
        self._clerk = clerk
        super().__init__(*given, **more)
        self.prompt = False  # reviews are waited for
        last = self.entries[-1]
        self._default = last if isinstance(last, Mapping) else None

    async def answer(self, question: Question) -> Answer:
        """As the engine's; what a person has to decide is on the disk when it returns.

        Raises as Engine.answer does, and LostReviewError.
        """
        self.inflight += 1
        try:
            answer = await (self._unasked(question) if self._clerk.asleep else super().answer(question))
            if answer.pending is not None:
                await self._clerk.stored(answer.pending)
            return answer
        finally:
            self.inflight -= 1

    async def _unasked(self, question: Question) -> Answer:
        """Level "human": the request is checked, recorded and queued; no model sees it."""
        walk = await self._reader.read_apart(question) if self._reader.apart else self._reader.read(question)
        walk.began = walk.ended = time.monotonic()
        walk.named = nothing(self.signature, walk.rows)
        return self._given(walk, PEOPLE, {}, "level")

    def _given(self, walk: Walk, author: Author, outputs: Mapping[str, Array], reason: str) -> Answer:
        books = cast("RoutedBooks", self._books)
        books.routes = found = self._clerk.routes(walk, author, outputs)
        answer = super()._given(walk, author, outputs, reason)
        if not found.reviewed:
            return answer
        pending = self._clerk.filed(found, walk, author, outputs, answer.receipt)
        return answer if pending is None else answer._replace(outputs=self._shown(answer, walk.rows, found, pending), pending=pending)

    def _shown(self, answer: Answer, rows: int, found: Routes, pending: Pending) -> Mapping[str, Array]:
        """The outputs as the caller may see them: rows that wait covered by nothing, or by the default."""
        signature, outputs = self.signature, answer.outputs
        if by_default := [row for row in found.reviewed if found.rows[row].caller == "default"]:
            row = cast("Mapping[str, Array]", self._default)  # there is one, or the deployment would not have been resolved
            meanwhile = self.champion.codec.decode(default_outputs(row, signature, rows), signature)
            outputs = covered(outputs, signature, by_default, meanwhile)
        return covered(outputs, signature, pending.blank) if pending.blank else outputs

    def _lines(self) -> Iterable[str]:
        return [*super()._lines(), *self._clerk.lines()]

    def close(self, records: bool = True) -> None:
        """As the engine's; reviews that wait are written."""
        super().close(records)
        self._clerk.close()
