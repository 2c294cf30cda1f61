"""One run of quantization-aware training: norms folded, the program planned, the module trained as the plan rounds, and traced again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.plan import PrecisionPlan, Range
from .base import PassContext
from .calibration import Calibration, rows_of_call
from .derive import EXPORTED, child
from .histogram import Method
from .kept_steps import KeptSteps
from .layer_names import named
from .qat_calls import seen
from .qat_folding import fold, folded
from .qat_places import Places, find_places, source, without
from .qat_rounding import Ranges, Rounding
from .quantize import Plans
from .settings import Settings
from .training.batches import Batch, Batches
from .training.fit import Fit, seeded
from .training.retrace import repacked
from .training.stored import Trainee
from .training.structure import Edit
from .tuning import distance, tensors_of

REPORT = "annotations/qat.json"
LOOKS = 8
"""Rows on which values of program and module are compared."""


@dataclass(frozen=True)
class Settled:
    """The pass's options, each decided."""

    epochs: float
    lr: float
    keep: Sequence[str]
    calibration: Method
    learned: bool
    freeze_ranges: float
    per_channel: bool
    towards: str


@dataclass
class Course:
    """One run.

    Args:
        package: float, trusted.
        trainee: its module, which is trained in place.
        batches: rows.
        settled: options.
        step: the pass as data.
        context: seed, deadline, progress, checkpoints, where the package goes.
        work: a folder for drafts.
    """

    package: Package
    trainee: Trainee
    batches: Batches
    settled: Settled
    step: Mapping[str, Any]
    context: PassContext
    work: Path

    def run(self) -> Package:
        """The derived package. Raises UnsupportedError where nothing can be trained in int8."""
        modules = named(self.trainee.model, [word for word in self.settled.keep if "/" not in word], "keep")
        rows = np.arange(len(self.batches))[: min(LOOKS, rows_of_call(self.package.signature)) or None]
        features, was = self.batches.of(rows).features, deepcopy(self.trainee.model)
        edits = fold(self.trainee.model, features)
        draft = Plans(self._traced("draft", edits))
        calibration = self._calibrated(draft)
        calls, wire = seen(self.trainee.model, features)[0], self.batches.data.take(rows).inputs

        def places_of(plan: PrecisionPlan) -> Places:
            return find_places(draft.package, draft.graphs, plan, calls, wire)

        plan = draft.plan(self._settings(), calibration)
        places = places_of(plan)
        asked = {node: "asked for" for node, module in places.modules.items() if module in modules}
        if asked:
            places = places_of(plan.keep(asked))
        places = self._met(places, features)
        ranges, loss = self._trained(places, calibration, was)
        made = Plans(self._traced("made", edits))
        plan = made.plan(self._settings(), self._calibrated(made)).keep({**asked, **places.lost})
        plan = replace(plan, ranges=_ranges(made, plan.ranges, ranges), means={},  # biases were trained with the rounded weights
                       calibration={**plan.calibration, "trained": len(ranges)})  # fmt: skip
        return self._published(made.package, plan, _report(edits, places, loss, self.settled))

    def _settings(self) -> Settings:
        kept = tuple(word for word in self.settled.keep if "/" in word)
        return Settings("int8-static", self.settled.calibration, per_channel=self.settled.per_channel, kept=kept)

    def _calibrated(self, plans: Plans) -> Calibration:
        return plans.calibrate(self.batches.data, seed=self.context.seed, progress=self.context.progress, steps=KeptSteps.of(self.context))

    def _traced(self, name: str, edits: Sequence[Edit]) -> Package:
        return repacked(self.package, self.trainee, self.step, replace(self.context, out=self.work / name), edits)

    def _met(self, places: Places, features: tuple[Any, ...]) -> Places:
        """Places that the module passes in training too, which may go other ways. Raises UnsupportedError where there is none."""
        if len(self.batches) > 1:
            with seeded():
                met = {call.key for call in seen(deepcopy(self.trainee.model).train(), features)[0]}
            places = without(places, {*places.products, *places.results} - met)
        if not places.products:
            raise UnsupportedError("Nothing of the model can be trained in int8", got=", ".join([*places.lost][:8]) or self.package.name,
                                   fix="Quantize it without training: ps.Quantize.")  # fmt: skip
        return places

    def _trained(self, places: Places, calibration: Calibration, was: nn.Module) -> tuple[dict[str, Range], float]:
        """(ranges of the values that were rounded, the loss that training ended at)."""
        settled, model = self.settled, self.trainee.model
        schedule = replace(self.trainee.schedule, lr=settled.lr, epochs=settled.epochs or 1)
        steps = ceil(settled.epochs * self.batches.steps(schedule.batch))
        extremes = {name: (held.low, held.high) for name, held in calibration.histograms.items() if name in places.values}
        chosen = calibration.ranges(settled.calibration)
        moving = ceil((1 - settled.freeze_ranges) * steps)
        ranges = Ranges(extremes, {name: chosen[name] for name in extremes}, moving, settled.learned)
        rounding, loss = Rounding(model, places, ranges, settled.per_channel), float("nan")

        def objective(batch: Batch) -> Tensor:
            with rounding:
                answers = model(*batch.features)
            return self._loss(answers, batch, was)

        if settled.epochs:
            key = {"pass": dict(self.step), "package": self.package.digest, "data": data_digest(self.batches.data)}
            fit = Fit(model, objective, self.batches, schedule, self.context, key, ranges.stepped, "training in int8", {"ranges": ranges})
            loss = fit.run()
        return {name: ranges.of(name) for name in places.values}, loss

    def _loss(self, answers: Any, batch: Batch, was: nn.Module) -> Tensor:
        parts: list[Tensor] = []
        if self.settled.towards != "float":
            parts.append(self.trainee.loss(answers, batch.required()))
        if self.settled.towards != "labels":
            with torch.no_grad():
                targets = list(tensors_of(was(*batch.features)))
            parts += [distance(one, two, self.trainee.setup.loss) for one, two in zip(tensors_of(answers), targets, strict=True)]
        return torch.stack(parts).sum()

    def _published(self, made: Package, plan: PrecisionPlan, report: bytes) -> Package:
        """One step of the recipe, whatever packages stood between."""
        parent = self.package.content
        content = replace(made.content, plan=plan.to_dict(), recipe=parent.recipe, parents=parent.parents)
        exported = {name: (made.path / name).read_bytes() for name in made.manifest.annotations.files if name == EXPORTED}
        files = {name: made.read(name) for name in made.content.files}
        return child(self.package, content, self.step, files, self.context.out, {**exported, REPORT: report})


def _ranges(plans: Plans, calibrated: Mapping[str, Range], trained: Mapping[str, Range]) -> dict[str, Range]:
    """Calibrated ranges; of values that training rounded its own, and of what these became by a move."""
    found = {**calibrated, **{name: held for name, held in trained.items() if name in calibrated}}
    for stage, graph in plans.graphs.items():
        for value in (name.removeprefix(f"{stage}/") for name in calibrated if name.startswith(f"{stage}/")):
            if (before := f"{stage}/{source(graph, value)}") in trained:
                found[f"{stage}/{value}"] = trained[before]
    return found


def _report(edits: Sequence[Edit], places: Places, loss: float, settled: Settled) -> bytes:
    """What was folded, trained in int8 and left in float, as JSON."""
    said = {"folded": folded(edits), "trained": sorted(held.node for held in places.products.values()), "float": dict(places.lost),
            "epochs": settled.epochs, "lr": settled.lr, "towards": settled.towards,
            "loss": None if np.isnan(loss) else round(loss, 6)}  # fmt: skip
    return json.dumps(said, indent=1, sort_keys=True, allow_nan=False).encode()
