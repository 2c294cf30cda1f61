"""A package's own expectations, run on every attempt at its precision: a compile asks them, so a trial must not pass without them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import cached_property

from ..runtimes.base import Session
from ..runtimes.evaluate import session_of
from ..runtimes.expectations import Hits, Outcome, hits, outcome, stored
from ..runtimes.paired import Answers
from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.package import Package


class Expected:
    """What is expected of attempts at one package.

    Args:
        package: that attempts are made of; its stored expectations are asked, else those of its ancestor.
        ancestor: that attempts are held against; it is asked once, for the reader.
        before: the ancestor's answers to the rows as they are.
        data: the rows.
        rules: how each output is judged.
        rows: rows of a batch.

    Raises FormatError for expectations that cannot be read.
    """

    def __init__(self, package: Package, ancestor: Package, before: Answers, data: Data, rules: Mapping[str, Rule], rows: int) -> None:
        self.declared = stored(package) or stored(ancestor)
        self._ancestor, self._before, self._data, self._rules, self._rows = ancestor, before, data, rules, rows

    def of(self, session: Session, answers: Answers) -> tuple[Outcome, ...]:
        """What came of each, for a session and its answers to the rows. Raises InputError for a field that the rows lack."""
        found = [self._hits(session, answers, place) for place in range(len(self.declared))]
        return tuple(outcome(*held) for held in zip(self.declared, self._of_ancestor, found, strict=True))

    @cached_property
    def _of_ancestor(self) -> tuple[Hits, ...]:
        if not self.declared:
            return ()
        with closing(session_of(self._ancestor)) as session:
            return tuple(self._hits(session, self._before, place) for place in range(len(self.declared)))

    def _hits(self, session: Session, answers: Answers, place: int) -> Hits:
        return hits(self.declared[place], session, answers, self._data, self._rules, self._rows, self._ancestor.signature)
