"""Answers that were given before, as the engine meets them: what holds for an entity, what a cache keeps, what a table holds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...sdk.core.signature import Array
from .answers import Question
from .books import ChainEntry
from .cache import CacheEntry, Found
from .consistency import Author, ConsistencyWindow, Held
from .content import content_key
from .precomputed import PrecomputedEntry
from .walk import Walk

CACHED, CONSISTENT = "cached", "consistent"
"""Reasons of answers that were given before: a cache was asked first; the entity was answered a moment ago."""


class Early(NamedTuple):
    """An answer before anybody was asked; `place` is -1 where it holds for the entity."""

    place: int
    author: Author
    found: Found


class KeptAnswers:
    """The caches of a chain, and the window of its entities.

    Args:
        entries: of the chain.
        authors: who they are.
        window: None: no entity is held to anything.
    """

    def __init__(self, entries: Sequence[ChainEntry], authors: Sequence[Author], window: ConsistencyWindow | None) -> None:
        self._authors, self._window = authors, window
        self._caches = [(place, entry) for place, entry in enumerate(entries) if isinstance(entry, CacheEntry)]
        self._first = [(place, entry) for place, entry in self._caches if entry.first]

    def concerns(self, question: Question) -> bool:
        """Something may be kept for it, so that its key is needed."""
        return bool(self._caches) or (self._window is not None and question.entity is not None)

    def early(self, walk: Walk) -> Early | None:
        """What holds for the entity, or the fresh answer of a cache that is asked before the champion; gives the walk its key."""
        walk.key, walk.began = content_key(walk.checked.arrays), time.monotonic()
        entity = walk.question.entity
        if self._window is not None and entity is not None and (held := self._window.held(entity, walk.key)) is not None:
            return Early(-1, held.author, Found(held.outputs, age_ms=held.age_ms))
        for place, cache in self._first:
            if (found := cache.get(walk.key, fresh=True)) is not None:
                return Early(place, self._authors[place], found)
        return None

    def look(self, walk: Walk, entry: CacheEntry | PrecomputedEntry) -> Found | None:
        """What an entry of the chain has for a request."""
        if isinstance(entry, PrecomputedEntry):
            return entry.find(walk.checked.arrays, walk.rows, walk.question.entity)
        return None if walk.key is None else entry.get(walk.key)

    def settle(self, walk: Walk, author: Author, outputs: Mapping[str, Array]) -> Held | None:
        """Keep an answer; what the entity gets in its place, where something else holds for it."""
        if walk.key is None:
            return None
        if author.place == 0:
            for _, cache in self._caches:
                cache.put(walk.key, outputs)
        if self._window is None or walk.question.entity is None:
            return None
        held = self._window.settle(walk.question.entity, walk.key, outputs, author)
        return held if held.age_ms is not None else None
