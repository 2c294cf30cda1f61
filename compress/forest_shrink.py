"""An ensemble shrunk to a budget on rows: several numbers of trees are tried, and the one that loses least on rows kept apart is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..runtimes.trees import LEAF, Trees
from ..sdk.core.signature import Array
from .base import PassContext
from .forest_build import Size, size_bytes
from .forest_fit import Shape, narrowed_to, order, refitted
from .forest_links import Link
from .forest_prune import costs, pruned

_APART = 4
"""One row in so many is kept apart."""
_FEWEST = 64
_MIXED = 0.3
"""Share of a made row's columns that are another row's."""


@dataclass(frozen=True, eq=False)
class Goal:
    """What the small ensemble is to give.

    Attributes:
        x: (rows, columns) float32.
        answer: (rows, outputs) float64 that the source gives.
        goal: (rows, outputs) float64: the same, with labels mixed in.
        link: from scores to answers.
    """

    x: Array
    answer: Array
    goal: Array
    link: Link

    def take(self, rows: Array) -> Goal:
        """Some of the rows."""
        return Goal(self.x[rows], self.answer[rows], self.goal[rows], self.link)

    def enlarged(self, trees: Trees, times: int, most: int, seed: int) -> Goal:
        """With `times` as many made rows, `most` rows in all: rows with columns of others, answered by the source itself.

        (Bucila et al., "Model Compression", KDD 2006, make rows in a like way.)
        """
        count = max(0, min(times * len(self.x), most - len(self.x)))
        random = np.random.default_rng(seed)
        one, other = (self.x[random.integers(0, len(self.x), count)] for _ in range(2))
        x = np.where(random.random((count, self.x.shape[1])) < _MIXED, other, one)
        answer = self.link.mean(trees.evaluate(x).astype(np.float64))
        x, known, goal = (np.concatenate(pair) for pair in ((self.x, x), (self.answer, answer), (self.goal, answer)))
        return Goal(x, known, goal, self.link)


@dataclass(frozen=True)
class Limits:
    """The budget and how hard to try.

    Attributes:
        ratio: of nodes, and of bytes of the arrays.
        trees: how many stay; None: found on rows.
        sweeps: over the leaves, at most.
        ridge: rows that draw a leaf to what it was.
        made: made rows per row.
        most: rows in all.
    """

    ratio: float
    trees: int | None
    sweeps: int
    ridge: float
    made: int
    most: int = 40_000


@dataclass(frozen=True, eq=False)
class _Choice:
    chosen: Array
    sweeps: int
    loss: float


class Shrinking:
    """One run.

    Args:
        trees: the source.
        goal: of the user's rows.
        limits: the budget.
        context: seed, deadline, progress.
    """

    def __init__(self, trees: Trees, goal: Goal, limits: Limits, context: PassContext) -> None:
        self._trees, self._limits, self._context = trees, limits, context
        shuffled = np.random.default_rng(context.seed).permutation(len(goal.x))
        apart = len(goal.x) // _APART if len(goal.x) >= _FEWEST else 0
        self._apart = goal.take(shuffled[:apart] if apart else shuffled)
        self._learn = goal.take(shuffled[apart:]).enlarged(trees, limits.made, limits.most, context.seed)
        self._all = goal.enlarged(trees, limits.made, limits.most, context.seed)

    def run(self) -> Shape:
        """The smallest loss within the budget, leaves fitted on all rows."""
        ends = self._trees.ends(self._learn.x)
        choices: list[_Choice] = []
        options = list(self._options(self._learn, ends))
        for number, chosen in enumerate(options):
            self._context.progress(number, len(options) + 1, f"{len(chosen)} trees")
            if choices and self._context.late:
                break
            choices.append(self._tried(chosen, ends))
        best = min(choices, key=lambda choice: choice.loss)
        self._context.progress(len(options), len(options) + 1, f"{len(best.chosen)} trees, all rows")
        made = self._shapes(best.chosen, self._all, self._trees.ends(self._all.x), best.sweeps)[-1]
        self._context.progress(len(options) + 1, len(options) + 1, "done")
        return made

    def again(self, shape: Shape, threshold: Array) -> Shape:
        """The shape with other thresholds, its leaves fitted to the ways that rows go now."""
        trees = replace(self._trees, threshold=threshold)
        held = replace(shape, trees=trees)
        ends = held.ends(trees.ends(self._all.x))
        return refitted(held, ends, self._all.goal, self._all.link, self._limits.sweeps, self._limits.ridge)[-1]

    def _options(self, goal: Goal, ends: Array) -> Iterator[Array]:
        """Which trees could stay: the best of the greedy order, and of a sum the first ones too."""
        count = len(self._trees.roots)
        whole, slope = Shape.of(self._trees), goal.link.slope(goal.answer)
        ranked = order(whole, ends, whole.score(ends), slope)
        numbers = [self._limits.trees] if self._limits.trees else sorted({max(1, count >> shift) for shift in range(6)}, reverse=True)
        for number in numbers:
            yield ranked[:number]
            if self._trees.aggregate == "sum" and number < count:
                yield np.arange(number)

    def _tried(self, chosen: Array, ends: Array) -> _Choice:
        shapes = self._shapes(chosen, self._learn, ends, self._limits.sweeps)
        apart, link = self._trees.ends(self._apart.x), self._apart.link
        losses = [link.loss(link.mean(shape.score(shape.ends(apart))), self._apart.goal) for shape in shapes]
        return _Choice(chosen, int(np.argmin(losses)), min(losses))

    def _shapes(self, chosen: Array, goal: Goal, ends: Array, sweeps: int) -> list[Shape]:
        trees, limits = self._trees, self._limits
        slope = goal.link.slope(goal.answer)
        whole = Shape.of(trees)
        held = narrowed_to(whole, chosen, ends, whole.score(ends), slope)
        found = costs(trees, held.value, ends, goal.link.pull(goal.answer, goal.goal), slope)
        size = Size(trees, held.chosen, int(limits.ratio * len(trees.feature)), int(limits.ratio * size_bytes(trees)))
        held = replace(held, leaf=pruned(trees, found, held.chosen, size.fits), value=found.value)
        return refitted(held, held.ends(ends), goal.goal, goal.link, sweeps, limits.ridge)


def used(shape: Shape) -> Array:
    """(nodes,) bool: nodes that still decide."""
    alive = Size(shape.trees, shape.chosen, 0, 0).alive(shape.leaf)
    return alive & ~shape.leaf & (shape.trees.feature != LEAF)


