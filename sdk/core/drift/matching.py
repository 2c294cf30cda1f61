"""The cheapest way to give every row of a square table a column of its own (Kuhn, 1955; Jonker and Volgenant, 1987)."""

from __future__ import annotations

import numpy as np

from ..signature import Array


def cheapest(costs: Array) -> list[int]:
    """Row -> column, with the smallest sum of costs. costs: (n, n) finite.

    >>> cheapest(np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]]))
    [1, 0, 2]
    """
    size = len(costs)
    rows, columns, owner = np.zeros(size + 1), np.zeros(size + 1), np.zeros(size + 1, np.int64)  # potentials; owner of a column, from 1
    for row in range(1, size + 1):
        way = _augment(np.asarray(costs, np.float64), row, rows, columns, owner)
        column = int(way[0])
        while column:
            owner[column], column = owner[way[column]], int(way[column])
    found = [0] * size
    for column in range(1, size + 1):
        found[int(owner[column]) - 1] = column - 1
    return found


def cycles(order: list[int]) -> list[list[int]]:
    """The cycles of a permutation that move something, each from its smallest place."""
    found: list[list[int]] = []
    seen: set[int] = set()
    for start in range(len(order)):
        cycle: list[int] = []
        place = start
        while place not in seen:
            seen.add(place)
            cycle.append(place)
            place = order[place]
        found += [cycle] if len(cycle) > 1 else []
    return found


def _augment(costs: Array, row: int, rows: Array, columns: Array, owner: Array) -> Array:
    """The shortest path from a new row to a free column, found as Dijkstra would; potentials are kept up to date."""
    size = len(costs)
    least, way, used = np.full(size + 1, np.inf), np.zeros(size + 1, np.int64), np.zeros(size + 1, bool)
    owner[0], column = row, 0
    while True:
        used[column] = True
        free = ~used[1:]
        slack = costs[owner[column] - 1] - rows[owner[column]] - columns[1:]
        better = free & (slack < least[1:])
        least[1:][better], way[1:][better] = slack[better], column
        following = 1 + int(np.where(free, least[1:], np.inf).argmin())
        step = least[following]
        rows[owner[used]] += step
        columns[used] -= step
        least[~used] -= step
        column = following
        if owner[column] == 0:
            way[0] = column
            return way
