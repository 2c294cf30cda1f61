"""What a torch student is taught beside answers: the inner layers of a torch teacher, looked at batch by batch."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..runtimes.subjects import codec_of
from ..sdk.core.data import Data
from ..sdk.core.errors import UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.signature import Array
from .base import PassContext
from .distil_answers import LOSSES, Loss
from .distil_losses import Goals
from .distil_teachers import Teacher, fields_read
from .feature_distance import VECTORS, distances, seen, thinned, vectors
from .feature_pairs import Pair, glimpsed, pairs_of
from .training.batches import Batch, Batches
from .training.fit import seeded, training
from .training.stored import ABOUT, Trainee, trainee_of

ROWS, BATCH = 512, 32
"""Rows that units and projections are found on, and how many of them at once."""


@dataclass(frozen=True, eq=False)
class Side:
    """A package's module with rows, a student's or a teacher's."""

    package: Package
    trainee: Trainee
    batches: Batches

    @classmethod
    def of(cls, package: Package, data: Data) -> Side:
        """Raises UnsupportedError, TrustError, FormatError and InputError as `trainee_of` and `Batches` do."""
        trainee = trainee_of(package)
        return cls(package, trainee, Batches(package, trainee, data))

    @cached_property
    def first(self) -> Batch:
        """Two rows, to look at."""
        return self.batches.of(np.arange(min(2, len(self.batches))))

    def reads(self) -> tuple[object, ...]:
        """All that decides what the module is given of a row."""
        content, setup = self.package.content, self.trainee.setup
        files = {path: held for path, held in content.files.items() if path.startswith("codec/") or path.endswith(".py")}
        return content.codec, [(spec.name, spec.dtype) for spec in self.package.signature.inputs], setup.featurize, files


@dataclass(frozen=True, eq=False)
class Shown:
    """A teacher that shows its layers to a student.

    Attributes:
        student, teacher: both sides; their modules stay in the mode that they are in.
        pairs: which layers learn from which.
        loss: by which the teacher's answers are taught beside them.
    """

    student: Side
    teacher: Side
    pairs: tuple[Pair, ...]
    loss: Loss

    @property
    def named(self) -> dict[str, str]:
        """The pairs as a recipe keeps them."""
        return {pair.student: pair.teacher for pair in self.pairs}

    @cached_property
    def alike(self) -> bool:
        """Both modules are given the same of a row, so that a batch is made once."""
        return self.student.reads() == self.teacher.reads()

    def theirs(self, batch: Batch) -> dict[str, Tensor]:
        """What the teacher's layers answer to the student's batch, without gradients."""
        features = batch.features if self.alike else self.teacher.batches.of(batch.rows).features
        with torch.no_grad(), seen(self.teacher.trainee.model, [pair.teacher for pair in self.pairs]) as taken:
            self.teacher.trainee.model(*features)
        return taken

    def own(self) -> Any:
        """Context in which what the student's layers answer is taken."""
        return seen(self.student.trainee.model, [pair.student for pair in self.pairs])

    def joined(self, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """(places, features) of both, pair by pair."""
        return [vectors(pair, own[pair.student], theirs[pair.teacher]) for pair in self.pairs]

    def begun(self, context: PassContext) -> nn.ModuleList:
        """A distance per pair, found on `ROWS` rows: the student in train mode, as the first steps will see it, and left as it was."""
        random = np.random.default_rng(context.seed)
        rows = random.permutation(len(self.student.batches))[:ROWS]
        with rehearsing(self.student.trainee.model, context.seed):
            looks = [[thinned(both, VECTORS * len(part) // len(rows), random) for both in self.looked(part)]
                     for part in np.array_split(rows, -(-len(rows) // BATCH))]  # fmt: skip
        return distances(list(zip(*looks, strict=True)))

    def looked(self, rows: Array) -> list[tuple[Tensor, Tensor]]:
        """(places, features) of both on these rows, pair by pair, without gradients."""
        batch = self.student.batches.of(rows)
        with torch.no_grad(), self.own() as own:
            self.student.trainee.model(*batch.features)
            return self.joined(own, self.theirs(batch))


@contextmanager
def rehearsing(model: nn.Module, seed: int) -> Generator[None]:
    """A model in train mode, for a look: norms of a fresh one have no statistics yet. Afterwards its buffers are what they were."""
    before = {name: held.clone() for name, held in model.named_buffers()}
    with seeded(), training({"model": model}):
        torch.manual_seed(seed)
        yield
    with torch.no_grad():
        for name, held in model.named_buffers():
            held.copy_(before[name])


@dataclass(frozen=True, eq=False)
class FeatureGoals:
    """The loss of a student that is taught answers and layers: what the answers' is, plus `share` of the mean distance of the layers."""

    goals: Goals
    shown: Shown
    distances: nn.ModuleList
    share: float

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        theirs = self.shown.theirs(batch)
        with self.shown.own() as own:
            loss = self.goals(batch)
        parts = zip(self.distances, self.shown.joined(own, theirs), strict=True)
        return loss + self.share * torch.stack([distance(one, two) for distance, (one, two) in parts]).mean()

    @property
    def extra(self) -> dict[str, nn.Module]:
        """Modules that are trained along and dropped."""
        return {**self.goals.extra, "features": self.distances}


def no_layers() -> UnsupportedError:
    """The refusal of an estimator that should learn inner layers."""
    return UnsupportedError("An estimator has no inner layers to teach", expected="a package with training/",
                            fix='Let a torch package be the student, or use loss="soft".')  # fmt: skip


def shown_by(teachers: Sequence[Teacher], student: Side | None, data: Data, asked: Mapping[str, str] | None, output: str | None) -> Shown:
    """The teacher's layers that a student learns from.

    Args:
        teachers: who teaches.
        student: None: an estimator.
        data: rows, in the fields that both read.
        asked: layer of the student -> layer of the teacher; None: found by name.
        output: of the teacher, as asked for.

    Raises:
        UnsupportedError: several teachers, or one without a torch module; an estimator as the student.
        TrustError: the teacher's training/ folder is not trusted.
        InputError: layers that do not exist or cannot be compared.
    """
    if student is None:
        raise no_layers()
    package = _showing(teachers)
    fields = fields_read(data.inputs, package.signature, codec_of(package).fields)
    teacher = Side.of(package, Data(fields))
    own = glimpsed(student.trainee.model, student.first.features)
    other = glimpsed(teacher.trainee.model, teacher.first.features)
    pairs = pairs_of(asked, student.trainee.model, own, other)
    kinds = [spec.kind for spec in package.signature.outputs if output in (None, spec.name) and spec.dtype.startswith("f")]
    losses: list[Loss] = [loss for kind, loss in LOSSES.items() if kind in kinds]
    return Shown(student, teacher, pairs, losses[0] if losses else "soft")


def _showing(teachers: Sequence[Teacher]) -> Package:
    """The one teacher that has layers to show. Raises UnsupportedError."""
    expected, fix = "one torch package with training/", 'Use loss="soft", which any teacher can teach, and several together.'
    if len(teachers) > 1:
        raise UnsupportedError("Inner features are those of one teacher", got=f"{len(teachers)} teachers", expected=expected,
                               fix=f"Name one. {fix}")  # fmt: skip
    package = teachers[0].package
    if package is None:
        raise UnsupportedError("A teacher that only answers shows no inner features", got=teachers[0].said, expected=expected, fix=fix)
    if ABOUT not in package.content.files:
        raise UnsupportedError(f"The teacher {package.name!r} shows no inner features: it has no training/ folder",
                               got=", ".join(sorted({stage.kind for stage in package.content.stages})), expected=expected,
                               fix=f"A torch module: pack it with training=ps.Training(factory, config). Others: {fix}")  # fmt: skip
    return package
