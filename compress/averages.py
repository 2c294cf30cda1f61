"""Means of a value's channels, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..sdk.core.plan import Means, means_of
from ..sdk.core.signature import Array


@dataclass
class Average:
    """Sums in float64; a value whose number of channels changes, or that was not finite, has no mean.

    Args:
        axis: of the channels; negative ones count from the end.
    """

    axis: int
    _sums: Array | None = field(default=None, init=False)
    _seen: int = field(default=0, init=False)
    _lost: bool = field(default=False, init=False)

    def add(self, value: Array) -> None:
        """One batch, of any number of dimensions above the axis."""
        if not -value.ndim <= self.axis < value.ndim or not value.size:
            self._lost = self._lost or bool(value.size)
            return
        channels = np.moveaxis(value, self.axis, -1).reshape(-1, value.shape[self.axis])
        sums = channels.sum(axis=0, dtype=np.float64)
        if not np.isfinite(sums).all() or (self._sums is not None and self._sums.shape != sums.shape):
            self._lost = True
            return
        self._sums = sums if self._sums is None else self._sums + sums
        self._seen += len(channels)

    def to_tensors(self) -> dict[str, Array]:
        """Everything, as numbers that a file holds exactly."""
        numbers = np.array([self.axis, self._seen, self._lost], np.int64)
        return {"numbers": numbers} | ({} if self._sums is None else {"sums": self._sums})

    @classmethod
    def from_tensors(cls, held: Mapping[str, Array]) -> Average:
        """What `to_tensors` made."""
        axis, seen, lost = held["numbers"].tolist()
        made = cls(axis)
        made._seen, made._lost, made._sums = seen, bool(lost), held.get("sums")
        return made

    @property
    def mean(self) -> Means:
        """Of each channel, as a plan keeps it; empty where there is none."""
        if self._lost or self._sums is None:
            return ()
        return means_of((self._sums / self._seen).tolist())
