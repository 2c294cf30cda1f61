"""Photographs of solar cells: 2,624 electroluminescence images, 300 x 300, each judged by people.

The data is the `elpv-dataset` package (CC BY-NC-SA 4.0; Buerhop-Lutz et al. 2018, Deitsch et al. 2019): an example's
dependency, never part of Portside. A cell counts as defective when its stated probability of a defect is >= 0.5.

The images were cut from 44 modules and the files stand in module order, but the module is not recorded. A random split
would put neighbours of one module on both sides and flatter the model, so we split by *blocks* of 32 consecutive files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from elpv_dataset.utils import load_dataset
from numpy.typing import NDArray

BLOCK = 32
LABELS = ("functional", "defective")


@dataclass(frozen=True)
class Cells:
    """Images (rows, 300, 300) uint8, labels (rows,) int64 with 1 = defective, cell types (rows,) "mono" or "poly"."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    types: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> Cells:
        """The cells at these positions."""
        return Cells(self.images[rows], self.labels[rows], self.types[rows])


def load() -> Cells:
    """All cells, in file order."""
    images, probability, types = load_dataset()
    return Cells(images.astype(np.uint8), (probability >= 0.5).astype(np.int64), types.astype(str))


def split(cells: Cells, test_share: float = 0.4, seed: int = 0) -> tuple[Cells, Cells]:
    """(train, test), no block of 32 neighbouring files in both."""
    train, test = divide(len(cells), test_share, seed)
    return cells.take(train), cells.take(test)


def divide(rows: int, test_share: float = 0.4, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of (train, test) among `rows` files, in file order."""
    blocks = np.arange(rows) // BLOCK
    order = np.random.default_rng(seed).permutation(blocks.max() + 1)
    test = np.isin(blocks, order[: round(test_share * len(order))])
    return np.flatnonzero(~test), np.flatnonzero(test)


def thin(cells: Cells, rows: int, seed: int = 0) -> Cells:
    """At most `rows` cells, drawn at random, in file order: for short runs."""
    chosen = np.random.default_rng(seed).permutation(len(cells))[:rows]
    return cells.take(np.sort(chosen))
