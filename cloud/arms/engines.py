"""The engine of one arm: an engine whose walk was read already, and whose first entry may be the challenger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from ...sdk.core.door import Checked
from ..answering.answers import Question
from ..answering.books import ChainEntry, author
from ..answering.chain import ModelEntry
from ..answering.dialled import DialledEngine
from ..answering.engine import Engine
from ..answering.reading import Reader
from ..answering.walk import Walk
from .assigning import CHALLENGER, CHAMPION
from .books import ArmBooks, RoutedArmBooks


class Handed(Reader):
    """Gives the walk that was handed over right before: the engine begins with it in the same turn of the event loop."""

    def __init__(self, reader: Reader) -> None:  # pyright: ignore[reportMissingSuperCall]  it reads nothing itself
        self.apart, self._reader, self._handed = False, reader, cast("Walk", None)

    def hand(self, walk: Walk) -> None:
        """Of the question that is asked next."""
        self._handed = walk

    def read(self, question: Question) -> Walk:
        """The walk that was handed over."""
        return self._handed

    async def encoded(self, walk: Walk, entry: ModelEntry) -> Checked:
        """As the reader does."""
        return await self._reader.encoded(walk, entry)

    def close(self) -> None:
        """The reader is another's."""


class ArmEngine(Engine):
    """See the module."""

    BOOKS = ArmBooks

    @property
    def books(self) -> ArmBooks:
        """Which say what records of this arm hold."""
        return cast("ArmBooks", self._books)

    def lines(self) -> Iterable[str]:
        """Of the metrics page."""
        return self._lines()

    def try_first(self) -> None:
        """The first entry is the challenger, and the second the champion."""
        name_arms(self.books, self.entries)


class DialledArmEngine(DialledEngine, ArmEngine):
    """The same with a dial."""

    BOOKS = RoutedArmBooks


def name_arms(books: ArmBooks, entries: tuple[ChainEntry, ...]) -> None:
    """Let the books of a challenger's chain say who is who."""
    arms: list[Any] = [CHALLENGER, CHAMPION, *(["fallback"] * (len(entries) - 2))]
    books.tried = True
    books.authors[:] = [author(place, entry, arm) for place, (entry, arm) in enumerate(zip(entries, arms, strict=True))]
