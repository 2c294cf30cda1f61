"""Splitting rows so that nothing stands on both sides: rows that share an entity or content go together.

- `by_hash`: which split a group is in depends on its oldest row and the seed alone, so rows stay where they are while a dataset grows
  (unless a new row ties two groups together; then both follow the older one).
- `by_time`: earlier rows train, later ones test. A row whose group began in an earlier split is left out: it would leak either way.

    >>> rows = [Member("a", ("ana",), 1), Member("b", ("ana", "x"), 2), Member("c", ("x",), 3), Member("d", (), 4)]
    >>> groups(rows), len(set(by_hash(rows, {"train": 0.5, "test": 0.5})[:3]))
    (['a', 'a', 'a', 'd'], 1)
    >>> by_time(rows, {"train": 0.5, "test": 0.5})
    ['train', 'train', None, 'test']
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class Member:
    """A row. `key`: its name, the smaller the older; `ties`: what no two splits may share; `at_ms`: when it happened."""

    key: str
    ties: tuple[str, ...] = ()
    at_ms: int = 0


def groups(members: Sequence[Member]) -> list[str]:
    """Of each row, the smallest key of its group. Rows with a tie in common are in one group, and so are theirs."""
    above = {member.key: member.key for member in members}
    if len(above) < len(members):
        raise InputError("Two rows have the same key", got=len(members) - len(above), expected="a key of its own for each")
    first: dict[str, str] = {}
    for member in members:
        for tie in member.ties:
            _join(above, first.setdefault(tie, member.key), member.key)
    return [_root(above, member.key) for member in members]


def by_hash(members: Sequence[Member], fractions: Mapping[str, float], seed: int = 0) -> list[str]:
    """A split for each row; groups fall into splits with the probabilities `fractions`. Raises InputError."""
    bounds, keys = _bounds(fractions), groups(members)
    found = {group: _place(_share(f"{seed}:{group}"), bounds) for group in set(keys)}
    return [found[group] for group in keys]


def by_time(members: Sequence[Member], fractions: Mapping[str, float]) -> list[str | None]:
    """A split for each row, in the order of `fractions`; None: left out. Raises InputError."""
    bounds, names = _bounds(fractions), list(fractions)
    ordered = sorted(members, key=lambda member: (member.at_ms, member.key))
    places = {member.key: names.index(_place(rank / len(members), bounds)) for rank, member in enumerate(ordered)}
    first: dict[str, int] = {}
    keys = dict(zip((member.key for member in members), groups(members), strict=True))
    for member in members:
        first[keys[member.key]] = min(first.get(keys[member.key], len(names)), places[member.key])
    return [names[places[member.key]] if places[member.key] == first[keys[member.key]] else None for member in members]


def _bounds(fractions: Mapping[str, float]) -> list[tuple[str, float]]:
    """(name, upper bound) in [0, 1]. Raises InputError unless they are shares of one."""
    if not fractions or any(not 0 <= share <= 1 for share in fractions.values()) or abs(math.fsum(fractions.values()) - 1) > 1e-6:
        raise InputError("Shares of splits are above zero and add up to one", field="fractions", got=dict(fractions))
    total, bounds = 0.0, list[tuple[str, float]]()
    for name, share in fractions.items():
        total += share
        bounds.append((name, total))
    return bounds


def _place(share: float, bounds: Sequence[tuple[str, float]]) -> str:
    return next((name for name, bound in bounds if share < bound), bounds[-1][0])


def _share(text: str) -> float:
    """A number in [0, 1) that is the text's own."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / (1 << 48)


def _root(above: dict[str, str], key: str) -> str:
    while above[key] != key:
        above[key] = above[above[key]]
        key = above[key]
    return key


def _join(above: dict[str, str], one: str, other: str) -> None:
    low, high = sorted((_root(above, one), _root(above, other)))
    above[high] = low
