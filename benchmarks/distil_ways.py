"""What the benchmark of distillation compares: pictures of a seed, and how each way's package comes about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import clothes_nets as nets
import numpy as np
import subjects
import torch

import portside as ps
from portside.compress.base import PassContext
from portside.compress.training.batches import Batches
from portside.compress.training.fit import Fit
from portside.compress.training.retrace import repacked
from portside.compress.training.stored import trainee_of
from portside.sdk.core.package import Package

PART, LEARN, UNSEEN = 14_000, 5000, 3000
"""Pictures of a seed; those with labels, and those without. The others judge."""
WARM = 4.0
"""Temperature, unless a way says 1."""
FEW = 300
"""Labels of a student that has not the teacher's."""
WIDE, NARROW = 24, 8
RATIO = 0.15
SCHEDULE = ps.Schedule(epochs=10, batch=64, lr=2e-3)
TUNED = 5
"""Epochs behind pruning."""
RARE, RARE_LEARNED, RARE_JUDGED = "bag", 10, 100
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
PRUNED = ps.Prune(RATIO, steps=1, epochs=TUNED)


def taught(**options: Any) -> ps.Recipe:
    """The same pruning, then the answers of the network as it was."""
    return ps.Recipe([replace(PRUNED, epochs=0), ps.Distil(epochs=TUNED, **options)])


@dataclass(frozen=True)
class Division:
    """Pictures of one seed."""

    learn: ps.Data
    unseen: ps.Data
    held: ps.Data


@cache
def division(seed: int) -> Division:
    """The seed's part of all pictures."""
    parts = [subjects.import_module("datasets").clothes(name) for name in ("train", "t10k")]
    x, y = (np.concatenate(held) for held in zip(*parts, strict=True))
    rows = np.random.default_rng(0).permutation(len(x))[seed * PART : (seed + 1) * PART]
    names = np.array(CLASSES)[y]
    whole = ps.Data({"picture": x[rows]}, labels=y[rows], slices={"garment": names[rows]})
    learn, unseen, held = (whole.take(part) for part in np.split(np.arange(PART), [LEARN, LEARN + UNSEEN]))
    return Division(learn, unseen, held)


class Makers:
    """How each way's package comes about."""

    def __init__(self, rows: Division, seed: int, work: Path) -> None:
        self.rows, self.seed, self.work = rows, seed, work
        self.teacher: Callable[[], Package] = cache(lambda: self.labelled(self.fresh(WIDE), rows.learn, "teacher"))
        self.student: Callable[[], Package] = cache(lambda: self.fresh(NARROW))

    def ways(self) -> Mapping[str, Callable[[], Package]]:
        """Name -> what makes it, in an order in which what is needed is there."""
        learn, few, teacher, student = self.rows.learn, self.rows.learn.take(range(FEW)), self.teacher, self.student
        bare = ps.Data({"picture": np.concatenate([few.inputs["picture"], self.rows.unseen.inputs["picture"]])})
        epochs = SCHEDULE.epochs * ceil(len(bare) / SCHEDULE.batch) / ceil(FEW / SCHEDULE.batch)  # as many steps
        return {
            "teacher": teacher,
            "student, labels": lambda: self.labelled(student(), learn, "student-labels"),
            "student, distilled": lambda: self.run(teacher(), ps.Distil(student(), temperature=WARM), learn, "student-distilled"),
            "student, distilled at 1": lambda: self.run(teacher(), ps.Distil(student(), temperature=1.0), learn, "student-at-1"),
            "pruned, labels": lambda: self.run(teacher(), PRUNED, learn, "pruned-labels"),
            "pruned, distilled": lambda: self.run(teacher(), taught(temperature=WARM), learn, "pruned-distilled"),
            "pruned, distilled at 1": lambda: self.run(teacher(), taught(temperature=1.0), learn, "pruned-at-1"),
            "pruned, rounds": lambda: self.run(teacher(), replace(PRUNED, steps=3), learn, "pruned-rounds"),
            "few, labels": lambda: self.labelled(student(), few, "few-labels", epochs),
            "few, distilled": lambda: self.run(teacher(), ps.Distil(student(), temperature=WARM), bare, "few-distilled"),
        }  # fmt: skip

    def rare(self) -> Mapping[str, Callable[[], Package]]:
        """Name -> what makes it on rows in which a class is rare."""
        learn = self.seldom(self.rows.learn, RARE_LEARNED)
        return {
            "rare, labels": lambda: self.run(self.teacher(), PRUNED, learn, "rare-labels"),
            "rare, distilled": lambda: self.run(self.teacher(), taught(temperature=WARM), learn, "rare-distilled"),
        }

    @staticmethod
    def seldom(data: ps.Data, count: int) -> ps.Data:
        """The rows, less those of the rare class beyond a number."""
        more = np.flatnonzero(np.asarray(data.slices["garment"]) == RARE)[count:]
        return data.take(np.setdiff1d(np.arange(len(data)), more))

    def run(self, package: Package, recipe: Any, data: ps.Data, name: str) -> Package:
        """What a recipe makes."""
        return ps.compress(package, recipe, data, out=self.work / name, seed=self.seed)

    def fresh(self, width: int) -> Package:
        """A network as it begins."""
        torch.manual_seed(self.seed)
        out = self.work / f"fresh-{width}"
        ps.pack(nets.make(width).eval(), name=f"garments-{width}", featurize=nets.featurize, predict=nets.predict, out=out,
                examples={"picture": self.rows.learn.inputs["picture"][:64]},
                training=ps.Training(nets.make, {"width": width}, schedule=SCHEDULE))  # fmt: skip
        return ps.open(out, trust=True)

    def labelled(self, package: Package, data: ps.Data, name: str, epochs: float = SCHEDULE.epochs) -> Package:
        """A network trained on labels alone, in the loop and the order of rows that passes have."""
        trainee, context = trainee_of(package), PassContext(self.work / name, self.seed)
        Fit(trainee.model, lambda batch: trainee.loss(trainee.model(*batch.features), batch.required()),
            Batches(package, trainee, data), replace(SCHEDULE, epochs=epochs), context).run()  # fmt: skip
        return repacked(package, trainee, {"kind": "labels"}, context)
