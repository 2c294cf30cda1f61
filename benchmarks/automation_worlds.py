"""Where thresholds are tried: solar cells with labels of people who err, and made-up worlds whose true error rate is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeAlias

import numpy as np
import subjects
from torch import nn

from portside.sdk.core.signature import Array

How: TypeAlias = Literal["rows", "pool", "modules", "mono to poly"]
PEOPLE = 0.03
"""Share of labels that are turned round, which stands for people who err."""
TRAIN, HEADS = 0.6, 20
"""Share of the modules that a head is trained on; how many heads there are, each trained on others."""


@dataclass(frozen=True)
class Part:
    """Cells with what the model says of them.

    Attributes:
        scores: (rows,) of its answer, in [0.5, 1].
        right: (rows,) bool: the answer is the truth.
        agrees: (rows,) bool: the answer is what people say, 3% of whom err.
    """

    scores: Array
    right: Array
    agrees: Array

    def take(self, rows: Array) -> Part:
        """The cells at these positions."""
        return Part(self.scores[rows], self.right[rows], self.agrees[rows])

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Split:
    """Labelled rows to fit on, and rows to come."""

    labelled: Part
    come: Part


def cells(seed: int, how: How) -> Split:
    """One division of the 2,624 cells. 60% of the modules train the head, one of `HEADS`, whatever `how`; of the other rows:

    "rows": one half is labelled by people, the other half comes, at random. "modules": the same by blocks of 32 neighbouring files, so
    that neighbours of one module stay together. "pool": as many as a half are drawn with replacement from all, and all come: then the
    true rate is known exactly. "mono to poly": one kind of cell is labelled, the other comes.
    """
    every, dice, example = subjects._cells(), np.random.default_rng(seed), import_module("cells")
    _, rest = example.divide(len(every), 1 - TRAIN, seed % HEADS)
    scores, right = _answered(seed % HEADS, how == "mono to poly")
    part = Part(scores, right, right ^ (dice.random(len(right)) < PEOPLE))
    if how == "pool":
        return Split(part.take(rest[dice.integers(0, len(rest), len(rest) // 2)]), part.take(rest))
    if how == "mono to poly":
        return Split(part.take(rest[every.types[rest] == "mono"]), part.take(rest[every.types[rest] == "poly"]))
    if how == "modules":
        blocks = rest // example.BLOCK
        chosen = np.isin(blocks, dice.permutation(np.unique(blocks))[: len(np.unique(blocks)) // 2])
        return Split(part.take(rest[chosen]), part.take(rest[~chosen]))
    order = dice.permutation(rest)
    return Split(part.take(order[: len(order) // 2]), part.take(order[len(order) // 2 :]))


@cache
def _answered(head: int, mono: bool) -> tuple[Array, Array]:
    """(scores, whether it is right) of every cell, by a head that was trained on 60% of the modules, or on the mono cells of those."""
    every, (_, features) = subjects._cells(), subjects._embedded()
    learn, _ = import_module("cells").divide(len(every), 1 - TRAIN, head)
    learn = learn[every.types[learn] == "mono"] if mono else learn
    model = import_module("inspector").fit(nn.Identity(), features[learn], every.labels[learn])
    logits = features @ model.head.weight.detach().numpy()[0].astype(np.float64) + float(model.head.bias.detach()[0])
    defect = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    return np.round(np.maximum(defect, 1 - defect), 6), (defect > 0.5) == (every.labels == 1)


@cache
def typical() -> Part:
    """All rows that did not train the model of the first division: what the plot shows."""
    return cells(0, "pool").come


@dataclass(frozen=True)
class World:
    """A made-up deployment. Scores are uniform, and a row of score s is wrong with probability (1 - s) ** power.

    Attributes:
        rows: records there are.
        before: the threshold that was in force; rows above it were checked with probability `checks`, all others labelled.
    """

    name: str
    rows: int
    target: float
    power: float = 1.0
    before: float | None = None
    checks: float = 0.05

    def risk(self, threshold: float) -> float:
        """True error rate of the rows at or above it."""
        return (1 - threshold) ** self.power / (self.power + 1)

    def draw(self, seed: int) -> tuple[Array, Array, Array]:
        """(scores, correct, weights) of the labelled rows."""
        dice = np.random.default_rng(seed)
        scores = dice.random(self.rows)
        correct = dice.random(self.rows) >= (1 - scores) ** self.power
        chance = np.ones(self.rows) if self.before is None else np.where(scores >= self.before, self.checks, 1.0)
        chosen = dice.random(self.rows) < chance
        return scores[chosen], correct[chosen], 1 / chance[chosen]


WORLDS = (
    World("all rows labelled", 3000, 0.05, 2.0), World("few rows", 600, 0.05, 2.0), World("a strict target", 20_000, 0.01, 2.0),
    World("checks of 5% above 0.8, all below", 20_000, 0.05, 2.0, 0.8),
    World("checks of 20% above 0.8, all below", 10_000, 0.05, 2.0, 0.8, 0.2),
)


def deployments(rows: int, draws: int) -> Iterator[tuple[Array, Array]]:
    """(wrong, weights) of labelled rows where three quarters were automated (0.6% wrong, 5% checked) and the rest is not (2% wrong)."""
    for seed in range(draws):
        dice = np.random.default_rng(seed)
        sure = dice.random(rows) < 0.75
        wrong: Any = dice.random(rows) < np.where(sure, 0.006, 0.02)
        chosen = ~sure | (dice.random(rows) < 0.05)
        yield wrong[chosen], np.where(sure, 20.0, 1.0)[chosen]
