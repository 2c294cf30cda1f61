"""A profile as arrays, field behind field: thousands of them merge by a few calls of numpy, not by a visit to each summary.

What thousands of summaries take is not arithmetic but looking each of them up: 10,000 profiles of 50 fields are half a million objects
with ten numbers each, in no cache. As arrays they are 10,000; what is left is to bring the values of a field together and to sort them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from math import inf
from typing import Any

import numpy as np

from .signature import Array
from .sketch import Sketch, compacted, errors_of
from .summary import Summary, added, counted, pooled

FEW = 8
"""Fewer profiles than this merge summary by summary in less time."""
SHORT = 32
"""Sets of at most so many categories are kept once, for all tables that have them."""
TOGETHER, FIELDS = 128, 4
"""Tables and fields that are looked at together: what is known of them fits the processor's cache, and their values a few megabytes."""
Named = tuple[tuple[str, ...], Array]


@dataclass(frozen=True, eq=False)
class Table:
    """What `Profile.fields` holds.

    Attributes:
        names: of the fields.
        counts: (fields, 6) int64: count, missing, finite, rows, and over and under of the sketch.
        moments: (fields, 4) float64: mean, m2, low, high.
        values: of all sketches, level behind level, field behind field; float64.
        cuts: (fields, levels + 1) int64: level i of a field's sketch is `values[cuts[field, i]:cuts[field, i + 1]]`.
        named: field -> its categories, and how often each was there; fields without any are left out.
    """

    names: tuple[str, ...]
    counts: Array
    moments: Array
    values: Array
    cuts: Array
    named: Mapping[str, Named]

    @classmethod
    def of(cls, fields: Mapping[str, Summary]) -> Table:
        """The table of summaries."""
        held = list(fields.values())
        counts = [(one.count, one.missing, one.finite, one.rows, one.sketch.over, one.sketch.under) for one in held]
        moments = [(one.mean, one.m2, one.low, one.high) for one in held]
        levels = [one.sketch.levels for one in held]
        values = np.concatenate([np.zeros(0), *chain.from_iterable(levels)])
        return cls(_once(tuple(fields)), _of(counts, 6, np.int64), _of(moments, 4, np.float64), values, _cuts(levels),
                   _named((name, one.categories) for name, one in fields.items()))  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, Any]]) -> Table:
        """The table of summaries as `Summary.to_dict` wrote them. Raises KeyError, ValueError, TypeError, AttributeError, OverflowError."""
        sketches = [one.get("sketch", _NONE) for one in data.values()]
        counts = [(one["count"], one["missing"], one.get("finite", 0), one.get("rows", one["count"]), *errors_of(sketch))
                  for one, sketch in zip(data.values(), sketches, strict=True)]  # fmt: skip
        moments = [(one.get("mean", 0.0), one.get("m2", 0.0), one.get("low", inf), one.get("high", -inf)) for one in data.values()]
        levels = [sketch["levels"] for sketch in sketches]
        values = np.array(list(chain.from_iterable(chain.from_iterable(levels))), np.float64)
        return cls(_once(tuple(data)), _of(counts, 6, np.int64), _of(moments, 4, np.float64), values, _cuts(levels),
                   _named((name, one.get("categories", {})) for name, one in data.items()))  # fmt: skip

    def summary(self, name: str) -> Summary:
        """One field. Its sketch looks at the table's values. Raises KeyError."""
        place = _places(self.names)[name]
        count, missing, finite, rows, over, under = self.counts[place].tolist()
        mean, m2, low, high = self.moments[place].tolist()
        keys, often = self.named.get(name, _NOBODY)
        levels = [self.values[start:end] for start, end in pairwise(self.cuts[place].tolist())]
        while levels and not levels[-1].size:
            levels.pop()
        return Summary(count, missing, mean, m2, finite, low, high, dict(zip(keys, often.tolist(), strict=True)),
                       Sketch(tuple(levels), over, under), rows)  # fmt: skip


class Fields(Mapping[str, Summary]):
    """The summaries of a table, each made when it is asked for."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._made: dict[str, Summary] = {}

    def __getitem__(self, name: str) -> Summary:
        if name not in self._made:
            self._made[name] = self.table.summary(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.names)

    def __len__(self) -> int:
        return len(self.table.names)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, eq=False)
class _Alike:
    """Tables with the same fields and levels: what a `Table` has, with the tables in front."""

    tables: Sequence[Table]
    places: Mapping[str, int]
    named: frozenset[str]
    counts: Array
    moments: Array
    cuts: Array

    @classmethod
    def of(cls, tables: Sequence[Table]) -> _Alike:
        return cls(tables, _places(tables[0].names), frozenset(chain.from_iterable(one.named for one in tables)),
                   np.stack([one.counts for one in tables]), np.stack([one.moments for one in tables]),
                   np.stack([one.cuts for one in tables]))  # fmt: skip

    def sizes(self, names: Sequence[str]) -> Array:
        """(fields, levels): values of all tables; 0 for fields that there are not."""
        found = np.zeros((len(names), self.cuts.shape[2] - 1), np.int64)
        for place, name in enumerate(names):
            if name in self.places:
                found[place] = np.diff(self.cuts[:, self.places[name]]).sum(axis=0)
        return found

    def pieces(self, names: Sequence[str]) -> Iterator[tuple[int, int, list[Array]]]:
        """(place of the field, level, its values of some tables), a few tables at a time: what is looked at stays in the cache."""
        sizes = self.sizes(names)
        for start in range(0, len(self.tables), TOGETHER):
            values = [one.values for one in self.tables[start : start + TOGETHER]]
            cuts = self.cuts[start : start + TOGETHER]
            for place in np.flatnonzero(sizes.any(axis=1)).tolist():
                for level, (starts, ends) in enumerate(pairwise(cuts[:, self.places[names[place]]].T.tolist())):
                    if sizes[place, level]:
                        yield place, level, [held[a:b] for held, a, b in zip(values, starts, ends, strict=True)]


def merged(profiles: Sequence[Mapping[str, Summary]]) -> dict[str, Summary] | None:
    """Field -> the summary of all profiles; None where arrays do not pay: few profiles, none as arrays, hardly two alike."""
    if len(profiles) < FEW or 2 * sum(isinstance(one, Fields) for one in profiles) < len(profiles):
        return None
    alike: dict[tuple[tuple[str, ...], int], list[Table]] = {}
    for table in (one.table if isinstance(one, Fields) else Table.of(one) for one in profiles):
        alike.setdefault((table.names, table.cuts.shape[1]), []).append(table)
    if len(alike) * FEW > len(profiles):
        return None
    groups, room = [_Alike.of(held) for held in alike.values()], np.zeros(0)
    names = list(dict.fromkeys(chain.from_iterable(names for names, _ in alike)))
    found: dict[str, Summary] = {}
    for start in range(0, len(names), FIELDS):
        some = names[start : start + FIELDS]
        levels, room = _joined(groups, some, room)
        for name, held in zip(some, levels, strict=True):
            found[name] = _merged([group for group in groups if name in group.places], name, held)
    return found


def _joined(groups: Sequence[_Alike], names: Sequence[str], room: Array) -> tuple[list[list[Array]], Array]:
    """The levels of each field, each in one piece of `room`, or of a larger one. New memory costs as much as the copy: it is used again."""
    sizes = np.zeros((len(names), max(group.cuts.shape[2] for group in groups) - 1), np.int64)
    for group in groups:
        sizes[:, : group.cuts.shape[2] - 1] += group.sizes(names)
    ends = sizes.cumsum().reshape(sizes.shape)
    room = room if len(room) >= sizes.sum() else np.empty(int(sizes.sum()))
    reached = (ends - sizes).tolist()
    for place, level, pieces in chain.from_iterable(group.pieces(names) for group in groups):
        start = reached[place][level]
        reached[place][level] = end = start + sum(map(len, pieces))
        np.concatenate(pieces, out=room[start:end])
    starts = (ends - sizes).tolist()
    return [[room[start:end] for start, end in zip(*field, strict=True)] for field in zip(starts, ends.tolist(), strict=True)], room


def _merged(groups: Sequence[_Alike], name: str, levels: list[Array]) -> Summary:
    counts = np.concatenate([group.counts[:, group.places[name]] for group in groups])
    moments = np.concatenate([group.moments[:, group.places[name]] for group in groups])
    count, missing, finite, rows, over, under = counts.sum(axis=0).tolist()
    mean, m2 = pooled(counts[:, 2], moments[:, 0], moments[:, 1])
    while levels and not levels[-1].size:
        levels.pop()
    named = [one.named[name] for group in groups if name in group.named for one in group.tables if name in one.named]
    return Summary(count, missing, mean, m2, finite, float(moments[:, 2].min()), float(moments[:, 3].max()), counted(_tallied(named)),
                   compacted(levels, over, under), rows)  # fmt: skip


def _tallied(held: Sequence[Named]) -> dict[str, int]:
    """Counts by category, those of the same categories added at once."""
    alike: dict[tuple[str, ...], list[Array]] = {}
    for keys, often in held:
        alike.setdefault(keys, []).append(often)
    return added([dict(zip(keys, np.sum(counts, axis=0).tolist(), strict=True)) for keys, counts in alike.items()])


def _of(rows: Sequence[tuple[Any, ...]], width: int, dtype: type[np.generic]) -> Array:
    return np.array(rows, dtype).reshape(-1, width)


def _cuts(levels: Sequence[Sequence[Any]]) -> Array:
    """Where each level of each field begins, and where the last one ends; fields with fewer levels have empty ones."""
    sizes = np.zeros((len(levels), max(map(len, levels), default=0)), np.int64)
    for place, held in enumerate(levels):
        sizes[place, : len(held)] = list(map(len, held))
    ends = sizes.cumsum().reshape(sizes.shape)
    if not ends.size:
        return np.zeros((len(levels), 1), np.int64)
    return np.column_stack([ends[:, 0] - sizes[:, 0], ends])


def _named(categories: Iterable[tuple[str, Mapping[str, int]]]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for name, held in categories:
        if held:
            keys = tuple(held)
            found[name] = (_once(keys) if len(keys) <= SHORT else keys, np.array(list(held.values()), np.int64))
    return found


@lru_cache(maxsize=512)
def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names as one object, which stays in the processor's cache while thousands of tables are looked at."""
    return names


@lru_cache(maxsize=512)
def _places(names: tuple[str, ...]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


_NOBODY: Named = ((), np.zeros(0, np.int64))
_NONE: dict[str, Any] = {"levels": [], "turns": []}
