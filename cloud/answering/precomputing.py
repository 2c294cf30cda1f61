"""A champion's answers to many rows, each asked alone, as the columns of a file of precomputed answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...sdk.core.data import take_rows
from ...sdk.core.errors import InputError, UnsupportedError
from ...sdk.core.failover import flaw
from ...sdk.core.signature import Array, Signature
from ..deployment.resolving import Resolved
from ..deployment.table_files import Columns
from ..deployment.tables import FORMAT
from .chain import ModelEntry, open_model
from .content import content_key


@dataclass(frozen=True)
class Computed:
    """What came of it.

    Attributes:
        columns: for `write_columns`.
        same: rows left out because the same content, or the same entity with the same content, came before.
        flawed: rows left out because the answer held NaN or infinity where the signature does not allow it.
    """

    columns: Columns
    same: int
    flawed: int


def precompute(resolved: Resolved, inputs: Mapping[str, Any], entities: Sequence[str] | None = None,
               progress: Callable[[int], None] | None = None) -> Computed:  # fmt: skip
    """Ask the champion of a deployment about every row, as one request each.

    Args:
        resolved: the deployment.
        inputs: wire field -> one value per row.
        entities: the entity of each row; the answers are then found by entity, else by content.
        progress: told the number of rows done.

    Raises:
        InputError: a row that the champion refuses, or an entity with two different rows; names the row.
        UnsupportedError: an output that has no row of its own.
    """
    champion = resolved.champion
    if fixed := [spec.name for spec in champion.signature.outputs if spec.batch_axis is None]:
        raise UnsupportedError("An output without a batch axis has no row of its own, so it cannot be precomputed", got=fixed[0])
    entry = open_model(replace(champion, settings=champion.settings.model_copy(update={"isolation": "inline"})))
    try:
        found = _answers(entry, inputs, entities, progress or (lambda _: None))
    finally:
        entry.close()
    about = {"format": FORMAT, "by": "content" if entities is None else "entity", "front": champion.front, "package": champion.digest}
    return Computed(Columns(list(found.keys), found.columns(champion.signature), about), found.same, found.flawed)


class _Found:
    """Answers so far: key -> content, and a list per output."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.outputs: list[Mapping[str, Array]] = []
        self.same, self.flawed = 0, 0

    def columns(self, signature: Signature) -> dict[str, Array]:
        """Rows first, codes of categories as they are."""
        return {
            spec.name: np.concatenate([np.moveaxis(held[spec.name], spec.batch_axis or 0, 0) for held in self.outputs])
            for spec in signature.outputs
        }


def _answers(entry: ModelEntry, inputs: Mapping[str, Any], entities: Sequence[str] | None, progress: Callable[[int], None]) -> _Found:
    found, rows = _Found(), len(next(iter(inputs.values()), ()))
    for row in range(rows):
        arrays = _encoded(entry, {name: take_rows(values, np.array([row])) for name, values in inputs.items()}, row)
        content = content_key(arrays)
        key = content.hex() if entities is None else str(entities[row])
        if (before := found.keys.get(key)) is not None:
            if before != content:
                raise InputError("An entity has two rows with different content", row=row, got=key, fix="Keep one of them.")
            found.same += 1
            continue
        outputs = entry.lane.run(arrays)
        if flaw(outputs, entry.signature.outputs) is not None:
            found.flawed += 1
            continue
        found.keys[key] = content
        found.outputs.append(outputs)
        progress(row + 1)
    if not found.outputs:
        raise InputError("There is no row with an answer", got=rows)
    return found


def _encoded(entry: ModelEntry, wire: Mapping[str, Any], row: int) -> dict[str, Any]:
    try:
        return entry.encode(wire).arrays
    except InputError as error:
        raise InputError(error.what, field=error.field, row=row, got=error.got, expected=error.expected, fix=error.fix) from error
