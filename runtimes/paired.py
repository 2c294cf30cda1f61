"""Two models' answers to the same rows, side by side: what an audit compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..sdk.core import golden
from ..sdk.core.data import Data
from ..sdk.core.signature import Array, Signature
from .base import Session
from .fidelity import batch_axis, rows_first
from .subjects import rows_at_once

Each: TypeAlias = Callable[[Callable[[], Mapping[str, Array]]], Mapping[str, Array]]


@dataclass(frozen=True)
class Answers:
    """What one session answered to data.

    Attributes:
        signature: of the session.
        batches: outputs by name, rows first, in the order of the rows. Outputs without one answer per row are left out.
        rows: rows of the data.
    """

    signature: Signature
    batches: tuple[Mapping[str, Array], ...]
    rows: int

    @property
    def names(self) -> list[str]:
        """Outputs with one answer per row."""
        return list(self.batches[0]) if self.batches else []

    def joined(self, name: str) -> Array | None:
        """(rows, ...) of an output; None where its shape differs from batch to batch."""
        parts = [batch[name] for batch in self.batches]
        return np.concatenate(parts) if parts and len({part.shape[1:] for part in parts}) == 1 else None

    def not_a_number(self, name: str) -> Array:
        """(rows,) bool: a NaN anywhere in the answer."""
        return np.concatenate([_nan_rows(batch[name]) for batch in self.batches])


def answered(session: Session, data: Data, rows: int, each: Each = lambda made: made()) -> Answers:
    """Every row's answer, in batches of `rows`. Raises as `session.predict` does.

    Args:
        session: who answers.
        data: the rows.
        rows: of a batch.
        each: is handed what makes the answers to a batch, and may know them.
    """
    signature, batches = session.info.signature, list[Mapping[str, Array]]()

    def made(batch: Data) -> dict[str, Array]:
        outputs = session.predict(batch.inputs)
        first = {name: rows_first(np.asarray(held), batch_axis(signature, name)) for name, held in outputs.items()
                 if batch_axis(signature, name) is not None}  # fmt: skip
        return {name: held for name, held in first.items() if len(held) == len(batch)}

    for batch in data.batches(rows):
        batches.append(each(lambda batch=batch: made(batch)))
    names = set[str].intersection(*(set(batch) for batch in batches)) if batches else set[str]()
    return Answers(signature, tuple({name: batch[name] for name in batch if name in names} for batch in batches), len(data))


def batch_rows(*signatures: Signature) -> int:
    """Rows of a batch that all of these take: equal batches keep outputs of varying shape comparable."""
    fixed = [rows for rows in (golden.fixed_rows(held) for held in signatures if golden.batched(held)) if rows is not None]
    return fixed[0] if fixed else min(rows_at_once(held) for held in signatures)


def by_row(name: str, before: Answers, after: Answers, measure: Callable[[Array, Array], Array]) -> Array:
    """(rows,) what `measure` says of an output of the two, batch by batch."""
    return np.concatenate([measure(one[name], two[name]) for one, two in zip(before.batches, after.batches, strict=True)])


def newly_nan(before: Answers, after: Answers) -> dict[str, Array]:
    """Output -> (rows,) bool: `after` answers with a NaN where `before` does not; outputs without such a row are left out."""
    found = {name: after.not_a_number(name) & ~before.not_a_number(name) for name in after.names if name in before.names}
    return {name: rows for name, rows in found.items() if rows.any()}


def _nan_rows(held: Array) -> Array:
    flat: Any = held.reshape(len(held), -1)
    return np.isnan(flat).any(axis=1) if held.dtype.kind == "f" else np.zeros(len(held), bool)
