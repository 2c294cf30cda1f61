"""Rows of a user's data as what a module is trained on: features as tensors, labels as a tensor, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ...sdk.core.codec.codec import Codec
from ...sdk.core.data import Data
from ...sdk.core.errors import InputError, UnsupportedError
from ...sdk.core.package import Package
from ...sdk.core.signature import NUMPY, Array
from ..row_lengths import lengths_of, shuffled
from .stored import Function, Trainee


@dataclass(frozen=True)
class Batch:
    """Rows of one step.

    Attributes:
        rows: their places in the data.
        features: what the model takes, in order.
        labels: one per row; None where the data has none.
    """

    rows: Array
    features: tuple[Any, ...]
    labels: Tensor | None

    def required(self) -> Tensor:
        """The labels. Raises InputError where there are none."""
        if self.labels is None:
            raise InputError("This needs labels", field="data", fix="Pass Data(inputs=..., labels=...).")
        return self.labels


class Batches:
    """A data set as batches, encoded by the package's codec and featurized as in the program.

    Args:
        package: names inputs, codec and outputs.
        trainee: whose featurize is used.
        data: rows by wire field; labels as numbers, or as names of an output's categories.

    Raises:
        InputError: no rows; labels that are neither numbers nor known names.
        UnsupportedError: a model with a memory.
    """

    def __init__(self, package: Package, trainee: Trainee, data: Data) -> None:
        check_rows(package, data)
        self.data, self._featurize = data, trainee.featurize
        self._codec = Codec.from_steps(package.content.codec, package.read)
        self._names = tuple(spec.name for spec in package.signature.inputs)
        self._dtypes = {spec.name: NUMPY[spec.dtype] for spec in package.signature.inputs if spec.dtype != "string"}
        self._lengths = lengths_of(package.signature, self._codec.encode, data.inputs)
        self._labels = None if data.labels is None else numbers_of(data.labels, package)

    def __len__(self) -> int:
        return len(self.data)

    def of(self, rows: Array) -> Batch:
        """The batch of these places."""
        typed = self._codec.encode(self.data.take(rows).inputs)
        tensors = [torch.from_numpy(np.ascontiguousarray(typed[name], dtype=self._dtypes.get(name))) for name in self._names]
        labels = None if self._labels is None else torch.from_numpy(self._labels[rows])
        return Batch(rows, _featurized(self._featurize, tensors), labels)

    def epoch(self, size: int, seed: int, number: int) -> Iterator[Batch]:
        """All rows once, shuffled by (seed, number), texts with texts of their length; one row that is left over is left out, which
        batch norm cannot take."""
        for rows in shuffled(len(self), size, np.random.default_rng((seed, number)), self._lengths):
            if len(rows) > 1 or size == 1 or len(self) == 1:
                yield self.of(rows)

    def steps(self, size: int) -> int:
        """Batches of an epoch."""
        whole, rest = divmod(len(self), size)
        return max(1, whole + (rest > 1))

    def in_order(self, size: int) -> Iterator[Batch]:
        """All rows once, as they stand."""
        for start in range(0, len(self), size):
            yield self.of(np.arange(start, min(start + size, len(self))))


def check_rows(package: Package, data: Data) -> None:
    """Raises InputError for no rows, or labels that mean nothing; UnsupportedError for a model with a memory."""
    if package.signature.state:
        raise UnsupportedError("A model with a memory cannot be trained row by row", got=package.name)
    if not len(data):
        raise InputError("There are no rows to train on", field="data")
    if data.labels is not None:
        numbers_of(data.labels, package)


def _featurized(featurize: Function | None, tensors: list[Tensor]) -> tuple[Any, ...]:
    if featurize is None:
        return tuple(tensors)
    with torch.no_grad():
        made: Any = featurize(*tensors)
    return cast("tuple[Any, ...]", made) if isinstance(made, tuple) else (made,)


def numbers_of(labels: Any, package: Package) -> Array:
    """Labels as numbers: as they are, or places among the categories of an output. Raises InputError for names nobody knows."""
    held = np.asarray(labels)
    if held.dtype.kind in "iub":
        return held.astype(np.int64)
    if held.dtype.kind == "f":
        return held.astype(np.float32)
    for spec in package.signature.outputs:
        known = {str(name): place for place, name in enumerate(spec.categories or ())}
        if known and all(str(name) in known for name in held.tolist()):
            return np.array([known[str(name)] for name in held.tolist()], dtype=np.int64)
    raise InputError("Labels are neither numbers nor categories of an output", field="labels", got=str(held[:3].tolist()),
                     fix="Pass class numbers, or pack with codec={output: Categories([...])}.")  # fmt: skip
