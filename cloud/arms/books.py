"""What an answer of a rollout leaves behind: a record that names its arm, a receipt whose places are those of the deployment's chain, and,
where a challenger is a shadow, a question to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sdk.core.records import Receipt
from ...sdk.core.signature import Array, Signature
from ..answering.books import Books
from ..answering.consistency import Author
from ..answering.dialled import RoutedBooks
from ..answering.note import Note
from ..answering.walk import Walk
from .assigning import CHALLENGER
from .note import ArmNote
from .slices import Fields


class ArmBooks(Books):
    """Books of one arm. Every walk has its `arm` set; None: it is given none, and may be shadowed.

    Attributes:
        fields: by whose values records are judged apart.
        shadows: asked whatever the champion answered; None: nobody.
        tried: the first entry is the challenger.
    """

    fields = Fields((), Signature((), ()))
    tried = False
    shadows: Any = None
    more = True

    def answered(self, walk: Walk, by: Author, outputs: Mapping[str, Array], reason: str) -> Receipt:
        """As the books do; what the champion answered anew is shown to its shadows."""
        receipt = super().answered(walk, by, outputs, reason)
        if self.shadows is not None and by.place == 0 and walk.found is None:
            self.shadows.offer(walk, outputs, receipt, self._about)
        return receipt

    def _note(self, walk: Walk, by: Author, outputs: Mapping[str, Array], receipt: Receipt) -> Any:
        note: Note = super()._note(walk, by, outputs, receipt)
        return note if walk.arm is None else ArmNote(note, walk.arm, self.fields)

    _bare = _note

    def _receipt(self, walk: Walk, by: Author, reason: str) -> Receipt:
        receipt = super()._receipt(walk, by, reason)
        if self.tried:  # it was made a moment ago and nobody else has it yet; another one would cost as much again
            vars(receipt).update(entry=max(receipt.entry - 1, -1), attempts=tuple(map(_placed, receipt.attempts)))
        return receipt


class RoutedArmBooks(RoutedBooks, ArmBooks):
    """The same with a dial."""


def _placed(attempt: str) -> str:
    """ "0:failed" of the challenger's chain as "challenger:failed", "1:late" as "0:late"."""
    place, _, why = attempt.partition(":")
    return f"{named(int(place))}:{why}"


def named(place: int) -> str:
    """A place in the challenger's chain as the deployment file has it."""
    return CHALLENGER if place == 0 else str(place - 1)
