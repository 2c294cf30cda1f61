"""An ensemble shrunk to a budget on rows: several choices of trees are tried on rows kept apart, and the best is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..runtimes.trees import LEAF, Trees
from ..sdk.core.signature import Array
from .base import PassContext
from .forest_build import Size, size_bytes
from .forest_fit import Shape, refitted
from .forest_options import Goal, Option, Part, options, parts
from .forest_prune import Costs, costs, pruned
from .kept_steps import ANYWHERE, Scope

_INNER = ("forest-costs", "forest-alpha", "forest-sweep")
"""Steps within an option, which are of no use when it was tried."""


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
class Choice:
    """Trees that could stay, and what they cost.

    Attributes:
        option: which.
        sweeps: over their leaves.
        far: from the goal, the mean over rows.
        labels: (rows,) what each row's label makes of it; None without labels.
    """

    option: Option
    sweeps: int
    far: float
    labels: Array | None = None


def chosen(choices: Sequence[Choice]) -> Choice:
    """The closest to the goal; where labels say more clearly than by a standard error that another is better, the one that they like
    best. The first trees as they are win where labels find nothing better.
    """
    closest = min(choices, key=lambda choice: choice.far)
    if (before := closest.labels) is None:
        return closest
    named = [(choice, choice.labels) for choice in choices if choice.labels is not None]
    means = [(float(said.mean()), place) for place, (_, said) in enumerate(named)]
    liked = [means[place] for place, (choice, said) in enumerate(named) if choice is closest or _clear(before - said)]
    first = [means[place] for place, (choice, _) in enumerate(named) if choice.option.plain and not choice.sweeps][:1]
    return named[min(liked + first)[1]][0]


def _clear(gain: Array) -> bool:
    return bool(gain.mean() > gain.std() / len(gain) ** 0.5)


class Shrinking:
    """One run.

    Args:
        trees: the source.
        goal: of the user's rows.
        limits: the budget.
        context: seed, deadline, progress.
        scope: keeps what was tried, and how far a trial is.
    """

    def __init__(self, trees: Trees, goal: Goal, limits: Limits, context: PassContext, scope: Scope = ANYWHERE) -> None:
        self._trees, self._limits, self._context, self._scope = trees, limits, context, scope
        self._parts = parts(goal, trees, limits.made, limits.most, context.seed, scope)
        whole = scope.of(part="all")
        self._all = Part(trees, goal.enlarged(trees, limits.made, limits.most, context.seed, whole), goal, whole)
        self._size = int(limits.ratio * len(trees.feature)), int(limits.ratio * size_bytes(trees))

    def run(self) -> Shape:
        """The smallest loss within the budget, leaves fitted on all rows."""
        choices: list[Choice] = []
        tried, kept = list(options(self._trees, self._limits.ratio, self._limits.trees)), self._scope.series("forest-option")
        for number, option in enumerate(tried):
            self._context.progress(number, len(tried) + 1, f"{option.number} trees")
            if choices and self._context.late:
                break
            choices += _choices(option, kept.step(lambda option=option: self._tried(option)))
        best = chosen(choices)
        self._context.progress(len(tried), len(tried) + 1, f"{best.option.number} trees, all rows")
        made = self._shapes(best.option, self._all, best.sweeps, self._all.scope.of(option=asdict(best.option)))[-1]
        self._context.progress(len(tried) + 1, len(tried) + 1, "done")
        return made

    def again(self, shape: Shape, threshold: Array) -> Shape:
        """The shape with other thresholds, its leaves fitted to the ways that rows go now."""
        trees, rows = replace(self._trees, threshold=threshold), self._all.learn
        held = replace(shape, trees=trees)
        ends = held.ends(trees.ends(rows.x))
        return refitted(held, ends, rows.goal, rows.link, self._limits.sweeps, self._limits.ridge, self._all.scope.of(again=True))[-1]

    def _tried(self, option: Option) -> dict[str, Array]:
        """After each number of sweeps: how far (sweeps + 1,), and (sweeps + 1, rows) what labels make of it, where there are any."""
        scopes = [part.scope.of(option=asdict(option)) for part in self._parts]
        judged = [[part.judged(shape) for shape in self._shapes(option, part, self._limits.sweeps, scope)]
                  for part, scope in zip(self._parts, scopes, strict=True)]  # fmt: skip
        for scope in scopes:
            scope.drop(*_INNER)
        each = [*zip(*judged, strict=True)]
        far = np.array([float(np.concatenate([by_goal for by_goal, _ in held]).mean()) for held in each])
        labels = [np.concatenate([by_label for _, by_label in held if by_label is not None]) for held in each
                  if held[0][1] is not None]  # fmt: skip
        return {"far": far} | ({"labels": np.stack(labels)} if labels else {})

    def _shapes(self, option: Option, part: Part, sweeps: int, scope: Scope) -> list[Shape]:
        """The option within the budget, after each of so many sweeps."""
        trees, rows, held = self._trees, part.learn, option.shape(part)

        def priced() -> dict[str, Array]:
            return vars(costs(trees, held.value, part.ends, rows.link.pull(rows.answer, rows.goal), rows.link.slope(rows.answer)))

        found = Costs(**scope.series("forest-costs").step(priced))
        size = Size(trees, held.chosen, *self._size)
        leaf = pruned(trees, found, held.chosen, size.fits, scope)
        held = replace(held, leaf=leaf, value=found.value)
        return refitted(held, held.ends(part.ends), rows.goal, rows.link, sweeps, self._limits.ridge, scope)


def _choices(option: Option, held: Mapping[str, Array]) -> list[Choice]:
    """An option after each number of sweeps."""
    labels = held.get("labels")
    return [Choice(option, sweeps, far, None if labels is None else labels[sweeps]) for sweeps, far in enumerate(held["far"].tolist())]


def used(shape: Shape) -> Array:
    """(nodes,) bool: nodes that still decide."""
    alive = Size(shape.trees, shape.chosen, 0, 0).alive(shape.leaf)
    return alive & ~shape.leaf & (shape.trees.feature != LEAF)
