"""Sensitivity: how much does one node alone, in a lower precision, move what the model says? Measured node by node.

The float program is run with a single node lowered, featurize and all; damage is the relative error of the values at which the
model ends (its boundary, or its float outputs): the root mean square difference over the spread of the float values. A node's weights
have a threshold in this that its own rounding error does not show: an outlier that later layers amplify.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from onnx import ModelProto

from ..runtimes.onnx_extract import value_types
from ..runtimes.onnx_weights import read_graph
from ..runtimes.precision.onnx_lower import lower
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import EngineError
from ..sdk.core.package import Package
from ..sdk.core.plan import PrecisionPlan
from ..sdk.core.signature import Array
from .calibration import QUICK, Probe, rows_of_call, whole_calls
from .kept_steps import NOWHERE, KeptSteps, Series

ROWS, GLANCE = 24, 8
"""Rows that a damage is measured on; and those on which many nodes are looked at first."""
CLOSER = 16
"""Nodes that hurt most at that glance are measured on all rows; only they can matter much to what is kept in float32."""
KIND = "sensitivity"
_FLOAT = 1


def sensitivity(package: Package, plan: PrecisionPlan, data: Data, rows: int = ROWS, seed: int = 0,
                progress: Callable[[int, int, str], None] = lambda done, of, what: None,
                late: Callable[[], bool] = lambda: False, steps: KeptSteps = NOWHERE) -> dict[str, float]:  # fmt: skip
    """Damage of each node that the plan lowers, largest first.

    Args:
        package: float.
        plan: classes and ranges; each of its nodes is lowered alone.
        data: what a user has; `rows` of it are run.
        rows: at random.
        seed: of the choice.
        progress: called with (nodes done, nodes, what).
        late: asked between nodes; True ends early, and nodes not reached are left out.
        steps: keeps the damage of every node that was measured.

    Returns:
        "stage/node" -> damage: 0 none, 1 as large as the spread of the float values, infinite where NaN comes out or the engine fails.
    """
    most = whole_calls(package.signature, min(rows, len(data)))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data))[:most])
    sample = data.take(chosen)
    calls = [batch.inputs for batch in sample.batches(rows_of_call(package.signature, GLANCE))]
    key = {"package": package.digest, "plan": plan.to_dict(), "rows": data_digest(sample)}
    nodes = [name for name, precision in plan.nodes.items() if precision != "float32"]
    found: dict[str, float] = {}
    if len(nodes) > CLOSER and len(calls) > 1:
        found = _Damages(package, plan, calls[:1], steps.series(KIND, {**key, "nodes": nodes, "calls": 1})).of(nodes, progress, late)
        nodes = _worst_first(found)[:CLOSER]
    found |= _Damages(package, plan, calls, steps.series(KIND, {**key, "nodes": nodes, "calls": len(calls)})).of(nodes, progress, late)
    return {name: found[name] for name in _worst_first(found)}


@dataclass(frozen=True)
class _Damages:
    """Nodes of a plan, each lowered alone, on the same calls; `kept` has those that were measured before."""

    package: Package
    plan: PrecisionPlan
    calls: Sequence[Mapping[str, Any]]
    kept: Series

    def of(self, nodes: Sequence[str], progress: Callable[[int, int, str], None], late: Callable[[], bool]) -> dict[str, float]:
        """Node -> damage, as far as the time goes."""
        found = dict[str, float]()
        for done, name in enumerate(nodes):
            if late():
                break
            found[name] = float(self.kept.step(lambda done=done, name=name: self._measured(name, done, len(nodes), progress))["damage"])
        return found

    def _measured(self, name: str, done: int, of: int, progress: Callable[[int, int, str], None]) -> dict[str, Array]:
        progress(done, of, f"sensitivity of {name}")
        truth = self._truth
        alone = _Lowered(self.package, replace(self.plan, nodes={name: self.plan.nodes[name]}))
        try:
            found = damage(truth, _answers(Probe(self.package, self._values, alone, QUICK), self.calls))
        except EngineError:
            found = float("inf")
        return {"damage": np.array(found, np.float64)}

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        return _ends(self.package)

    @cached_property
    def _truth(self) -> list[Array]:
        return _answers(Probe(self.package, self._values, engine=QUICK), self.calls)


def _worst_first(found: Mapping[str, float]) -> list[str]:
    return sorted(found, key=lambda name: -found[name])


@dataclass(frozen=True)
class _Lowered:
    """A plan applied to each stage of a probe."""

    package: Package
    plan: PrecisionPlan

    def __call__(self, stage: str, model: ModelProto) -> ModelProto:
        return lower(model, self.plan.stage(stage), self.package.content.boundaries)[0]


def damage(truth: list[Array], got: list[Array]) -> float:
    """The largest relative error of the arrays: root mean square difference over the standard deviation of the truth."""
    found = [0.0]
    for before, after in zip(truth, got, strict=True):
        apart = np.asarray(after, np.float64) - np.asarray(before, np.float64)
        if not np.all(np.isfinite(apart[np.isfinite(before)])):
            return float("inf")
        apart = apart[np.isfinite(apart)]
        spread = float(np.std(before[np.isfinite(before)])) if np.isfinite(before).any() else 0.0
        found.append(float(np.sqrt(np.mean(apart**2))) / max(spread, 1e-12) if apart.size else 0.0)
    return max(found)


def _ends(package: Package) -> dict[str, list[str]]:
    """Stage -> float values at which the model ends in it; the program's float outputs where no boundary says."""
    wanted = package.content.boundaries.get("model", ()) or [spec.name for spec in package.signature.outputs]
    found: dict[str, list[str]] = {}
    for stage in package.content.stages:
        if stage.kind != "graph":
            continue
        model = read_graph(package, stage)
        made = {name for node in model.graph.node for name in node.output}
        here = [name for name in wanted if name in made]
        types: Mapping[str, Any] = value_types(model, here) if here else {}
        found[stage.name] = [name for name in here if types[name].type.tensor_type.elem_type == _FLOAT]
    if any(found.values()):
        return found
    last = [stage for stage in package.content.stages if stage.kind == "graph"][-1:]
    return {stage.name: list(stage.outputs) for stage in last}


def _answers(probe: Probe, calls: Sequence[Mapping[str, Any]]) -> list[Array]:
    """Each value over all calls; calls whose values differ in shape stay apart."""
    with closing(probe):
        columns = zip(*(probe.run(inputs)[1].values() for inputs in calls), strict=True)
        return [array for column in columns for array in _joined(column)]


def _joined(parts: Sequence[Array]) -> list[Array]:
    alike = all(part.ndim and part.shape[1:] == parts[0].shape[1:] for part in parts)
    return [np.concatenate(parts)] if alike else list(parts)
