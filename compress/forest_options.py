"""Which trees of an ensemble could stay, and the rows on which it is found out: fitted on some, judged on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..runtimes.trees import Trees
from ..sdk.core.signature import Array
from .forest_fit import Shape, narrowed_to, order, thinned
from .forest_links import Link
from .kept_steps import ANYWHERE, Scope

_APART = 4
"""Without labels one row in so many is kept apart."""
_FEWEST = 64
_MIXED = 0.3
"""Share of a made row's columns that are another row's."""
_MORE = (1.0, 1.25, 1.6, 2.5)
"""Times as many trees as the budget holds unpruned."""


@dataclass(frozen=True, eq=False)
class Goal:
    """What the small ensemble is to give.

    Attributes:
        x: (rows, columns) float32.
        answer: (rows, outputs) float64 that the source gives.
        goal: (rows, outputs) float64: the same, with labels mixed in.
        link: from scores to answers.
        truth: (rows, outputs) float64 that labels say, to choose by; None: choices are made by the goal.
    """

    x: Array
    answer: Array
    goal: Array
    link: Link
    truth: Array | None = None

    def take(self, rows: Array) -> Goal:
        """Some of the rows."""
        return Goal(self.x[rows], self.answer[rows], self.goal[rows], self.link, None if self.truth is None else self.truth[rows])

    def enlarged(self, trees: Trees, times: int, most: int, seed: int, scope: Scope = ANYWHERE) -> Goal:
        """With `times` as many made rows, `most` rows in all: rows with columns of others, answered by the source itself.

        (Bucila et al., "Model Compression", KDD 2006, make rows in a like way.)
        """
        count = max(0, min(times * len(self.x), most - len(self.x)))
        random = np.random.default_rng(seed)
        one, other = (self.x[random.integers(0, len(self.x), count)] for _ in range(2))
        x = np.where(random.random((count, self.x.shape[1])) < _MIXED, other, one)
        answer = self.link.mean(scope.by_rows("forest-made", x, trees.evaluate).astype(np.float64))
        x, known, goal = (np.concatenate(pair) for pair in ((self.x, x), (self.answer, answer), (self.goal, answer)))
        return Goal(x, known, goal, self.link)


@dataclass(frozen=True, eq=False)
class Part:
    """Rows to fit on, and others to judge on.

    Attributes:
        trees: the source.
        learn: with made rows.
        apart: to judge on.
        scope: keeps where rows end, and the order of the trees.
    """

    trees: Trees
    learn: Goal
    apart: Goal
    scope: Scope = ANYWHERE

    @cached_property
    def ends(self) -> Array:
        """(rows, trees) leaf of each row to fit on."""
        return self.scope.by_rows("forest-ends", self.learn.x, self.trees.ends)

    @cached_property
    def apart_ends(self) -> Array:
        """(rows, trees) leaf of each row to judge on."""
        return self.scope.by_rows("forest-apart", self.apart.x, self.trees.ends)

    @cached_property
    def ranked(self) -> Array:
        """The trees, those that say most first."""
        return self.scope.series("forest-order").step(lambda: {"order": self._ranked()})["order"]

    def _ranked(self) -> Array:
        whole = Shape.of(self.trees)
        return order(whole, self.ends, whole.score(self.ends), self.learn.link.slope(self.learn.answer))

    def judged(self, shape: Shape) -> tuple[Array, Array | None]:
        """(rows,) what an ensemble costs on each row to judge on: by the goal, and by labels where there are any."""
        rows = self.apart
        answer = rows.link.mean(shape.score(shape.ends(self.apart_ends)))
        return rows.link.losses(answer, rows.goal), None if rows.truth is None else rows.link.losses(answer, rows.truth)


def parts(goal: Goal, trees: Trees, times: int, most: int, seed: int, scope: Scope = ANYWHERE) -> list[Part]:
    """A quarter judged by what is fitted on the rest; with labels each half by the other, as labels say less than answers do."""
    shuffled = np.random.default_rng(seed).permutation(len(goal.x))
    if len(shuffled) < _FEWEST:
        judged = [(shuffled, shuffled)]
    elif goal.truth is None:
        judged = [(shuffled[len(shuffled) // _APART :], shuffled[: len(shuffled) // _APART])]
    else:
        one, other = np.array_split(shuffled, 2)
        judged = [(one, other), (other, one)]
    return [Part(trees, goal.take(learn).enlarged(trees, times, most, seed, own), goal.take(apart), own)
            for own, (learn, apart) in ((scope.of(part=place), rows) for place, rows in enumerate(judged))]  # fmt: skip


@dataclass(frozen=True)
class Option:
    """Trees that could stay.

    Attributes:
        number: how many.
        ranked: those that say most; else the first ones.
        plain: their values as they are; else scaled and shifted towards the whole.
    """

    number: int
    ranked: bool = True
    plain: bool = False

    def shape(self, part: Part) -> Shape:
        """These trees, unpruned."""
        whole = Shape.of(part.trees)
        chosen = part.ranked[: self.number] if self.ranked else np.arange(self.number)
        if self.plain:
            return thinned(whole, chosen)
        return narrowed_to(whole, chosen, part.ends, whole.score(part.ends), part.learn.link.slope(part.learn.answer))


def options(trees: Trees, ratio: float, asked: int | None) -> Iterator[Option]:
    """What is tried: the best trees of the greedy order, the first ones of a sum, and first trees as they are.

    Args:
        trees: the source.
        ratio: of nodes.
        asked: this many trees and no other number; None: several.
    """
    count = len(trees.roots)
    numbers = [asked] if asked else sorted({max(1, count >> shift) for shift in range(6)}, reverse=True)
    for number in numbers:
        yield Option(number)
        if trees.aggregate == "sum" and number < count:
            yield Option(number, ranked=False)
    held = max(1, int((np.cumsum(np.bincount(trees.tree_of, minlength=count)) <= ratio * len(trees.feature)).sum()))
    more = [1.0] if trees.aggregate == "sum" else _MORE  # a tree of a sum says what those before it left
    for number in [asked] if asked else sorted({min(count, int(times * held)) for times in more}):
        yield Option(number, ranked=False, plain=True)
