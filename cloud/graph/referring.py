"""The truth about a graph: its steps' packages in float, one after another, and which rows of the answer are firm.

A row is firm where its answer stays the same (discrete outputs) or within tolerance (numbers) when every number that a step hands on
is moved by half of its tolerance, and every discrete output that is itself fragile is another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...runtimes.fidelity import batch_axis, rows_first
from ...runtimes.firm import Firmness, perturbed
from ...sdk.core.contract import Rule
from ...sdk.core.decisions import judge
from ...sdk.core.door import Door
from ...sdk.core.package import Package
from ...sdk.core.records import Receipt
from ...sdk.core.signature import Array, Signature, TensorSpec
from ...sdk.opening import open as open_package
from ..answering.answers import Answer, Question
from ..answering.metrics import Metrics
from ..deployment.resolving import reference_of
from .engine import GraphEngine
from .golden import rows_in_front
from .resolving import ResolvedGraph, ResolvedStep

DRAWS, STEP = 4, 0.5


class ReferenceAnswerer:
    """One step's package on the reference runtime. `moved`: a source of random numbers; outputs are moved with it."""

    records = None
    inflight = 0

    def __init__(self, step: ResolvedStep) -> None:
        self._package, self._model = _package(step), step.resolved.champion
        self.signature: Signature = self._model.signature
        self.metrics = Metrics()
        self._door = Door(self.signature)
        self._discrete = [spec.name for spec in self.signature.outputs if _discrete(spec)]
        self._firm = Firmness(self._package, self._discrete)
        self.moved: np.random.Generator | None = None

    async def answer(self, question: Question) -> Answer:
        """The float program's answer. Raises InputError, EngineError."""
        typed = self._door.check(self._model.codec.encode(question.wire)).arrays
        outputs, firm = self._firm.answer(typed)
        outputs = {spec.name: np.asarray(outputs[spec.name]) for spec in self.signature.outputs}
        if self.moved is not None:
            outputs = {spec.name: self._shaken(spec, outputs[spec.name], firm.get(spec.name)) for spec in self.signature.outputs}
        named = self._model.codec.decode(outputs, self.signature)
        return Answer(named, Receipt(self._package.name, self._package.digest, "reference", 0, "primary"))

    def _shaken(self, spec: TensorSpec, values: Array, firm: Array | None) -> Array:
        assert self.moved is not None  # noqa: S101  asked by answer
        if values.dtype.kind == "f":
            return perturbed(values, STEP, self.moved)
        axis = batch_axis(self.signature, spec.name)
        if firm is None or firm.all() or axis is None or values.dtype.kind not in "iu":
            return values
        front = rows_first(values, axis).copy()
        front[~firm] = (front[~firm] + 1) % (len(spec.categories) if spec.categories else int(values.max()) + 2)
        return np.moveaxis(front, 0, axis)

    def warm(self, seconds: float) -> None:
        """Nothing to do."""

    def report(self) -> None:
        """Nothing to show."""

    def close(self, records: bool = True) -> None:
        """Free the engines."""
        self._firm.close()


class Reference:
    """A graph of references: opened once, asked for answers and for firm rows."""

    def __init__(self, resolved: ResolvedGraph) -> None:
        self._steps = {step.plan.name: ReferenceAnswerer(step) for step in resolved.steps}
        self._engine = GraphEngine(resolved, self._steps, hurry=False)

    def answer(self, wire: Mapping[str, Any], seed: int | None = None) -> dict[str, Array]:
        """The outputs; `seed`: moved. Raises PortsideError."""
        for number, step in enumerate(self._steps.values()):
            step.moved = None if seed is None else np.random.default_rng((seed, number))
        return dict(asyncio.run(self._engine.answer(Question(wire, time.monotonic()))).outputs)

    def firm(self, wire: Mapping[str, Any], truth: Mapping[str, Array], rules: Mapping[str, Rule]) -> dict[str, Array]:
        """Output -> bool per row: does its answer survive what floats may differ by? `truth`: answers, rows first."""
        firm = {name: np.ones(len(array), bool) for name, array in truth.items()}
        for seed in range(DRAWS):
            moved = rows_in_front(self._engine.signature, self.answer(wire, seed))
            for name, rule in rules.items():
                same = moved[name].shape == truth[name].shape
                firm[name] &= ~judge(rule, truth[name], moved[name]).row_flips if same else False
        return firm

    def close(self) -> None:
        """Free the engines."""
        self._engine.close()


def _package(step: ResolvedStep) -> Package:
    settings, own = step.resolved.champion.settings, step.resolved.deployment
    return open_package(reference_of(own, settings.package), step.resolved.champion.digest, settings.trust)


def _discrete(spec: TensorSpec) -> bool:
    return spec.dtype not in ("f32", "f64", "f16", "string")
