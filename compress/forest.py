"""The pass that makes tree ensembles smaller, on the package's own arrays: no training code, no trust, labels welcome but not needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..runtimes.onnx_weights import TensorPart, read_tensors
from ..runtimes.subjects import contract_of
from ..runtimes.trees import Trees
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from .base import Ahead, PassContext
from .forest_build import built
from .forest_fit import Shape
from .forest_leaves import LEAVES, Leaves, fitting
from .forest_options import Goal
from .forest_rows import Inside, Rows, stage_of
from .forest_shrink import Limits, Shrinking, used
from .forest_thresholds import Thresholds, merged
from .kept_steps import KeptSteps, Scope
from .retold import retold


@dataclass(frozen=True)
class Forest:
    """Make a forest or a boosting model smaller: fewer nodes, fewer trees, fewer distinct numbers, leaves fitted again.

        Forest(ratio=0.2)

    Attributes:
        ratio: at most this share of the nodes, and of the bytes of the ensemble's arrays.
        trees: how many stay; None: found on rows kept apart.
        thresholds: "exact" makes one of those that no row tells apart; a number keeps at most so many per column; None: all.
        leaves: the form of their values: "float16" holds them exactly in 16 bits, "int8" has 256 steps, "auto" takes the narrowest
            that the outputs' rules allow on the rows.
        labels: their share in what leaves are fitted to, where there are labels; the rest are the source's own answers. Labels choose
            between numbers of trees in any case.
        made: made rows per row, answered by the source: columns of other rows mixed in.
        sweeps: over all leaves, at most.
        ridge: rows that draw a leaf to what it was.
    """

    kind: ClassVar[str] = "forest"
    ratio: float = 0.2
    trees: int | None = None
    thresholds: Thresholds = None
    leaves: Leaves = "float32"
    labels: float = 0.0
    made: int = 4
    sweeps: int = 4
    ridge: float = 3.0

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The package with a smaller ensemble.

        Raises:
            InputError: an option that means nothing, no rows, labels that do not fit.
            UnsupportedError: a program without an ensemble or with several; leaf values that their form or a rule forbids.
        """
        inside, steps = Inside(package), KeptSteps.of(context)
        try:
            trees = Trees.from_tensors(*read_tensors(package, inside.stage))
            self._check_trees(trees)
            rows = inside.rows(data, self.labels, steps)
            scope = Scope(steps, {"package": package.digest, "data": data_digest(data), "pass": self.to_dict(), "seed": context.seed})
            made = fitting(self._shrunk(trees, rows, context, scope), self.leaves, inside, rows, contract_of(package).rules)
        finally:
            inside.close()
        return retold(package, {inside.stage.name: TensorPart(made.to_dict(), made.to_tensors())}, self.to_dict(), context)

    def _shrunk(self, trees: Trees, rows: Rows, context: PassContext, scope: Scope) -> Trees:
        """Nodes, trees and thresholds; the very arrays where nothing of that was asked for."""
        limits = Limits(self.ratio, self.trees, self.sweeps, self.ridge, self.made)
        if self.ratio == 1 and self.trees is None:
            return trees if self.thresholds is None else self._merged_alone(trees, rows, limits, context, scope)
        shrinking = Shrinking(trees, _goal(rows), limits, context, scope)
        shape = shrinking.run()
        return built(shape if self.thresholds is None else self._merged(shape, rows, shrinking))

    def _merged_alone(self, trees: Trees, rows: Rows, limits: Limits, context: PassContext, scope: Scope) -> Trees:
        threshold = merged(trees, rows.x, self.thresholds or "exact", np.ones(len(trees.feature), bool))
        if self.thresholds == "exact":
            return replace(trees, threshold=threshold)
        return built(Shrinking(trees, _goal(rows), limits, context, scope).again(Shape.of(trees), threshold))

    def _merged(self, shape: Shape, rows: Rows, shrinking: Shrinking) -> Shape:
        threshold = merged(shape.trees, rows.x, self.thresholds or "exact", used(shape))
        if self.thresholds == "exact":
            return replace(shape, trees=replace(shape.trees, threshold=threshold))
        return shrinking.again(shape, threshold)

    def __post_init__(self) -> None:
        self._check()

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """The same program around fewer nodes. Raises as `run` does, for what is known."""
        if (package := ahead.package) is not None:
            stage = stage_of(package)
            package.require_trust()
            if not ahead.changed:
                self._check_trees(Trees.from_tensors(*read_tensors(package, stage)))
        return replace(ahead, changed=True)

    def _check_trees(self, trees: Trees) -> None:
        if self.trees is not None and self.trees > len(trees.roots):
            raise InputError("There are fewer trees than are to stay", field="trees", got=self.trees, expected=f"1 to {len(trees.roots)}")

    def _check(self) -> None:
        _within("ratio", self.ratio, 0 < self.ratio <= 1, "above 0, at most 1")
        _within("labels", self.labels, 0 <= self.labels <= 1, "0 to 1")
        _within("ridge", self.ridge, self.ridge > 0, "above 0")
        for name, least in (("trees", 1), ("made", 0), ("sweeps", 0)):
            value = getattr(self, name)
            _within(name, value, value is None or (type(value) is int and value >= least), f"a whole number of {least} or more")
        count = type(self.thresholds) is int and self.thresholds >= 1
        _within("thresholds", self.thresholds, count or self.thresholds in (None, "exact"), '"exact", a number or None')
        _within("leaves", self.leaves, self.leaves in LEAVES, ", ".join(LEAVES))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what a recipe keeps."""
        return {"kind": self.kind, **{name: value for name, value in asdict(self).items() if value is not None}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Forest:
        """Parse a recipe's step."""
        return cls(**{name: value for name, value in data.items() if name != "kind"})


def _goal(rows: Rows) -> Goal:
    return Goal(rows.x, rows.link.mean(rows.score.astype(np.float64)), rows.goal, rows.link, rows.truth)


def _within(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise InputError(f"The option {name!r} of a forest pass means nothing", field=name, got=value, expected=expected)
