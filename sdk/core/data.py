"""Data: inputs with labels and slices, as arrays in memory. What pack, verify, evaluate and passes are fed.

    >>> data = Data(inputs={"x": np.zeros((4, 3), np.float32)}, labels=[0, 1, 0, 1], slices={"site": ["a", "a", "b", "b"]})
    >>> len(data), data.take([1, 3]).slices["site"].tolist()
    (4, ['a', 'b'])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from .errors import InputError
from .signature import Array


@dataclass(frozen=True)
class Data:
    """Rows by name.

    Attributes:
        inputs: wire field -> one value per row: an array whose first axis counts rows, or a list (strings, bytes,
            images of different sizes). Given an iterable of such mappings, the batches are joined, in memory. An array that is a file
            (np.memmap) is read row by row as it is needed.
        labels: the truth per row, or None.
        slices: name -> a group per row, e.g. {"cell": ["mono", "poly", ...]}.
    """

    inputs: Mapping[str, Any]
    labels: Any = None
    slices: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def __post_init__(self) -> None:
        inputs: Any = self.inputs
        if not isinstance(inputs, Mapping):
            if not isinstance(inputs, Iterable):
                raise InputError("Data.inputs is neither a mapping nor an iterable of batches", got=type(inputs).__name__)
            inputs = _joined(list(cast("Iterable[Mapping[str, Any]]", inputs)))
        object.__setattr__(self, "inputs", dict(cast("Mapping[str, Any]", inputs)))
        if self.labels is not None:
            object.__setattr__(self, "labels", np.asarray(self.labels))
        object.__setattr__(self, "slices", {key: np.asarray(values) for key, values in self.slices.items()})
        rows = len(self)
        for what, held in [*self.inputs.items(), *self.slices.items(), ("labels", self.labels)]:
            if held is not None and len(held) != rows:
                raise InputError("All columns of Data must have the same number of rows", field=what, got=len(held), expected=rows)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()))) if self.inputs else 0

    def take(self, rows: Sequence[int] | Array) -> Data:
        """The rows at these positions, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        return Data(
            inputs={name: take_rows(values, index) for name, values in self.inputs.items()},
            labels=None if self.labels is None else self.labels[index],
            slices={name: values[index] for name, values in self.slices.items()},
        )

    def batches(self, rows: int = 256) -> Iterator[Data]:
        """Consecutive parts of at most `rows` rows."""
        for start in range(0, len(self), rows):
            yield self.take(np.arange(start, min(start + rows, len(self))))


def take_rows(values: Any, index: Array) -> Any:
    """Rows of an array or a list; a list stays a list."""
    if isinstance(values, np.ndarray):
        return cast("Array", values)[index]
    held = cast("Sequence[Any]", values)
    return [held[int(row)] for row in index]


def _joined(batches: list[Mapping[str, Any]]) -> dict[str, Any]:
    if not batches:
        raise InputError("Data.inputs is an iterable without a batch")
    names = list(batches[0])
    if any(list(batch) != names for batch in batches):
        raise InputError("Batches of Data name different fields", expected=", ".join(names))
    return {name: _concatenated([batch[name] for batch in batches]) for name in names}


def _concatenated(parts: list[Any]) -> Any:
    if all(isinstance(part, np.ndarray) and part.shape[1:] == parts[0].shape[1:] for part in parts):
        return np.concatenate(parts)
    return [row for part in parts for row in part]
