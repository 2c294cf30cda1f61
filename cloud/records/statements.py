"""Statements that put rows of records into SQLite. A driver's work per value bound is most of what a row costs, so few are bound.

Rows that come one after the other mostly agree in most columns: they are of one version of one deployment, answered by one model. What
all rows of a statement agree in is bound once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter

from .draft import Row
from .tables import COLUMNS

AT_ONCE = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of one statement: few of them make any number. SQLite works without the interpreter's lock inside a statement, so larger ones
disturb the server less."""
OWN = ("id", "server_ms", "event_ms", "inputs", "outputs", "receipt")
"""Columns that are bound with every row; the entity too, where not all have the same or none."""


class Shape:
    """Statements for rows that have the other columns in common.

    Args:
        own: columns that are bound with every row.
    """

    def __init__(self, own: Sequence[str]) -> None:
        self._own = tuple(map(COLUMNS.index, own))
        self._common = tuple(place for place in range(len(COLUMNS)) if place not in self._own)
        self._shared = itemgetter(*self._common)
        self._texts: dict[int, str] = {}

    def fits(self, columns: Sequence[Row]) -> bool:
        """Whether rows, given by column, have in common what they should."""
        for place in self._common:  # noqa: SIM110  a generator would cost more than the look itself
            if columns[place].count(columns[place][0]) != len(columns[place]):
                return False
        return True

    def statement(self, columns: Sequence[Row]) -> tuple[str, Row]:
        """One statement for rows that fit, with its values: the common ones, then one column after the other."""
        shared = self._shared([column[0] for column in columns])
        rows = len(columns[0])
        text = self._texts.get(rows)
        if text is None:
            text = self._texts[rows] = self._text(rows)
        return text, (*shared, *chain.from_iterable([columns[place] for place in self._own]))

    def _text(self, rows: int) -> str:
        numbers = {place: [number] * rows for number, place in enumerate(self._common, 1)}
        for order, place in enumerate(self._own):
            first = len(self._common) + order * rows + 1
            numbers[place] = list(range(first, first + rows))
        values = (", ".join(f"?{numbers[place][row]}" for place in range(len(COLUMNS))) for row in range(rows))
        return _insert("), (".join(values))


def _insert(values: str) -> str:
    return f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({values}) ON CONFLICT (id) DO NOTHING"  # noqa: S608  own names


@cache
def any_rows(rows: int) -> str:
    """For so many rows that have nothing in common."""
    return _insert("), (".join([", ".join("?" for _ in COLUMNS)] * rows))


SHAPES = (Shape(OWN), Shape((*OWN, "entity")))


def statements(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Statements that insert rows in their order, with their values; those whose id is there already are passed over."""
    done = 0
    for size in AT_ONCE:
        while len(rows) - done >= size:
            yield _statement(rows[done : done + size])
            done += size


def _statement(rows: Sequence[Row]) -> tuple[str, Row]:
    if len(rows) > 1:
        columns = list(zip(*rows, strict=True))
        for shape in SHAPES:
            if shape.fits(columns):
                return shape.statement(columns)
    return any_rows(len(rows)), tuple(chain.from_iterable(rows))
