"""Which rank each layer gets: by its share of energy, by a number, or by what the whole model may weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from ..sdk.core.errors import InputError
from ..sdk.core.signature import Array

LEAST = 1e-12
"""Energy below this counts as this much: logarithms of nothing."""


@dataclass(frozen=True)
class Candidate:
    """A layer that could be two.

    Attributes:
        name: of the layer.
        shares: (full rank,) share of the energy that the first 1, 2, ... directions hold; the last is 1.
        per_rank: parameters that a rank costs.
        whole: parameters of the weight as it is.
    """

    name: str
    shares: Array
    per_rank: int
    whole: int

    @property
    def most(self) -> int:
        """The largest rank that saves parameters; 0: none does."""
        return min((self.whole - 1) // self.per_rank, len(self.shares))

    def share(self, rank: int | None) -> float:
        """Energy at a rank; None: the layer as it is."""
        return 1.0 if rank is None else float(self.shares[rank - 1])

    def cost(self, rank: int | None) -> int:
        """Parameters at a rank."""
        return self.whole if rank is None else rank * self.per_rank


def by_energy(candidates: Sequence[Candidate], energy: float) -> dict[str, int]:
    """Name -> the lowest rank that keeps this share, where it saves parameters."""
    found = {held.name: int(np.searchsorted(held.shares, energy - 1e-9)) + 1 for held in candidates}
    return {held.name: found[held.name] for held in candidates if found[held.name] <= held.most}


def by_rank(candidates: Sequence[Candidate], rank: int) -> dict[str, int]:
    """Name -> this rank, where it saves parameters."""
    return {held.name: rank for held in candidates if rank <= held.most}


def by_ratio(candidates: Sequence[Candidate], parameters: int, ratio: float) -> dict[str, int]:
    """Name -> rank, so that the model has at most `ratio` of its parameters.

    All layers begin at rank 1. The rank that raises the product of the layers' energies most per parameter is added, or the layer put
    back as it is, as long as that fits (greedy over the product of energies: Zhang et al., TPAMI 2016).

    Args:
        candidates: layers that may be factored.
        parameters: of the whole model.
        ratio: in (0, 1).

    Raises InputError where rank 1 everywhere is still too much.
    """
    open_ones = [held for held in candidates if held.most >= 1]
    ranks: dict[str, int | None] = {held.name: 1 for held in open_ones}
    free = int(parameters * ratio) - (parameters - sum(held.whole - held.cost(1) for held in open_ones))
    if free < 0:
        least = (int(parameters * ratio) - free) / parameters
        raise InputError("No ranks make the model this small", field="ratio", got=ratio, expected=f"{least:.3f} or more",
                         fix="Ask for less, or prune first.")  # fmt: skip
    while True:
        every = [(gain, extra, held.name, rank) for held in open_ones for gain, extra, rank in _moves(held, ranks[held.name])]
        moves = [move for move in every if move[1] <= free]
        if not moves:
            return {name: rank for name, rank in ranks.items() if rank is not None}
        _, extra, name, rank = max(moves, key=lambda move: move[0])
        ranks[name], free = rank, free - extra


def _moves(held: Candidate, rank: int | None) -> list[tuple[float, int, int | None]]:
    """(gain per parameter, parameters, new rank): one rank more, or the layer as it is."""
    if rank is None:
        return []
    chosen: list[int | None] = [*([rank + 1] if rank < held.most else []), None]
    now = log(max(held.share(rank), LEAST))
    extra = {to: held.cost(to) - held.cost(rank) for to in chosen}
    return [((log(max(held.share(to), LEAST)) - now) / extra[to], extra[to], to) for to in chosen]
