"""The belt: which cells teach, which are held out, and which arrive, in which order.

Cells come from modules, and neighbouring files are of one module, so blocks of `cells.BLOCK` files are never parted: no block both
teaches and arrives, and none of the held-out ones is ever seen. Cells arrive module by module, a few modules at once, so that what
people label early says something about later modules only as far as the model has really learned.

    mono blocks:  42% teach the first model   42% arrive   16% are held out
    poly blocks:                              80% arrive   20% are held out
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cells
import numpy as np
from numpy.typing import NDArray

Kind: TypeAlias = Literal["mono", "poly"]
TOGETHER = 4
"""Blocks that are on the belt at once."""
KEPT = 60
"""Poly cells that are kept for the trial of the device's new release, however slow a machine is."""


@dataclass(frozen=True)
class Belt:
    """Positions of cells in the whole collection.

    Attributes:
        every: all cells.
        teach: what the first model is trained on; mono.
        held: kind -> held-out cells.
        coming: kind -> cells that arrive, in order.
    """

    every: cells.Cells
    teach: NDArray[np.int64]
    held: dict[Kind, NDArray[np.int64]]
    coming: dict[Kind, NDArray[np.int64]]

    def draw(self, mono: int, poly: int, dice: np.random.Generator, keep: int = 0) -> list[int]:
        """Take so many of each kind off the front of what comes, mixed. The belt is shorter then; it may hold fewer.

        keep: so many poly cells stay on it.
        """
        taken = list[int]()
        wanted: dict[Kind, int] = {"mono": mono, "poly": min(poly, max(0, len(self.coming["poly"]) - keep))}
        for kind, count in wanted.items():
            taken += [int(place) for place in self.coming[kind][:count]]
            self.coming[kind] = self.coming[kind][count:]
        return [taken[place] for place in dice.permutation(len(taken))]


def belt(every: cells.Cells, seed: int = 0) -> Belt:
    """Divide the blocks of each kind."""
    dice = np.random.default_rng(seed)
    mono, poly = _blocks(every, "mono", dice), _blocks(every, "poly", dice)
    teach, rest = _cut(mono, 0.42)
    coming, held = _cut(rest, 0.42 / 0.58)
    poly_coming, poly_held = _cut(poly, 0.8)
    return Belt(every, np.sort(np.concatenate(teach)), {"mono": np.concatenate(held), "poly": np.concatenate(poly_held)},
                {"mono": _in_order(coming, dice), "poly": _in_order(poly_coming, dice)})  # fmt: skip


def _blocks(every: cells.Cells, kind: Kind, dice: np.random.Generator) -> list[NDArray[np.int64]]:
    """The cells of this kind, block by block, blocks in random order."""
    places = np.flatnonzero(every.types == kind)
    blocks = places // cells.BLOCK
    return [places[blocks == block] for block in dice.permutation(np.unique(blocks))]


def _cut(blocks: list[NDArray[np.int64]], share: float) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """The first share of the blocks, and the rest."""
    first = round(share * len(blocks))
    return blocks[:first], blocks[first:]


def _in_order(blocks: Sequence[NDArray[np.int64]], dice: np.random.Generator) -> NDArray[np.int64]:
    """A few blocks after a few others, mixed among themselves."""
    return np.concatenate(list(_mixed(blocks, dice)))


def _mixed(blocks: Sequence[NDArray[np.int64]], dice: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(blocks), TOGETHER):
        yield dice.permutation(np.concatenate(blocks[first : first + TOGETHER]))
