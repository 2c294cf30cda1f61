"""Is a row's answer independent of its batch-mates? Measured, because precision and operators decide it, not promises.

Golden rows are run alone, and again in batches of 2, 8 and 32 among outliers: other golden rows scaled 20 times, and rows
of NaN. Dynamic int8 fails this (one scaled mate flipped 13.5% of labels in a trial); float programs pass. A session that
fails is never fed merged requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from ..sdk.core.contract import Case, Contract
from ..sdk.core.decisions import judge
from ..sdk.core.errors import EngineError, InputError
from ..sdk.core.signature import Array, Signature
from .base import Session

SCALE = 20.0
SIZES = (2, 8, 32)
TARGETS = 4
"""Golden rows that are looked at."""
LARGEST = 256 << 20
"""Bytes of input of a batch; larger batches are left out."""


def can_batch(signature: Signature) -> bool:
    """The batch dimension is free on every batched input, every output has one, and no state is carried."""
    inputs = [spec for spec in signature.inputs if spec.batch_axis is not None]
    free = all(spec.shape and isinstance(spec.shape[cast("int", spec.batch_axis)], str) for spec in inputs)
    return bool(inputs) and free and not signature.state and all(spec.batch_axis is not None and spec.shape for spec in signature.outputs)


def batch_invariant(session: Session, contract: Contract) -> bool:
    """Measure it on the contract's rows.

    Args:
        session: opened without a door, because outliers break it.
        contract: golden rows and the rule of each output.

    Returns:
        True when every output of every looked-at row stays within its float tolerance, firm decisions the same.
    """
    cases = [case for case in contract.cases if case.sequence is None and case.rows]
    if not can_batch(session.info.signature) or not cases:
        return False
    case = max(cases, key=lambda held: held.rows)
    try:
        return _holds(session, contract, case)
    except (EngineError, InputError):  # a session whose door cannot be opened (a page's) refuses outliers: nothing was measured
        return False


def _holds(session: Session, contract: Contract, case: Case) -> bool:
    signature = session.info.signature
    axes = {spec.name: spec.batch_axis for spec in (*signature.inputs, *signature.outputs)}
    targets = list(range(min(TARGETS, case.rows)))
    alone = [session.run(take(case.inputs, axes, [row])) for row in targets]
    found = [_compared(session, contract, case, axes, alone, mates, kinds) for mates, kinds in _batches(case, len(targets))]
    return all(same is not False for same in found) and any(found)


def _compared(session: Session, contract: Contract, case: Case, axes: Mapping[str, int | None], alone: Sequence[Mapping[str, Array]],
              mates: int, kinds: Sequence[str]) -> bool | None:  # fmt: skip
    """Whether the rows answer among these mates as they do alone; None where a door lets no such mates in.

    A session whose door cannot be opened (a page's) refuses NaN, which then is nobody's batch-mate; the others remain.
    """
    targets = range(1 if mates == 1 else len(alone))
    inputs, placed = _batch(case, axes, targets, mates, kinds)
    try:
        got = session.run(inputs)
    except InputError:
        return None if len(kinds) == 1 else _compared(session, contract, case, axes, alone, mates, kinds[:1])
    return _same(contract, case, axes, alone, got, placed)


def _batches(case: Case, targets: int) -> list[tuple[int, tuple[str, ...]]]:
    """(mates, kinds of outliers) for batches of each size; batches of 2 have one kind each."""
    row_bytes = sum(array.nbytes for array in case.inputs.values()) / case.rows
    larger = [(size - targets, ("scaled", "nan")) for size in SIZES[1:] if size * row_bytes <= LARGEST]
    return [(1, ("scaled",)), (1, ("nan",)), *larger]


def _batch(case: Case, axes: Mapping[str, int | None], targets: Sequence[int], mates: int,
           kinds: Sequence[str]) -> tuple[dict[str, Array], dict[int, int]]:  # fmt: skip
    """Mates first and last, targets in the middle."""
    rows = [(place * 7 + 1) % case.rows for place in range(mates)]
    before = mates // 2
    order = [*rows[:before], *targets, *rows[before:]]
    inputs = take(case.inputs, axes, order)
    mate_places = [*range(before), *range(before + len(targets), len(order))]
    for number, place in enumerate(mate_places):
        for name, array in inputs.items():
            if (axis := axes.get(name)) is not None:
                spoil(np.moveaxis(array, axis, 0)[place : place + 1], kinds[number % len(kinds)])
    return inputs, {target: before + offset for offset, target in enumerate(targets)}


def spoil(row: Array, kind: str) -> None:
    """Make a row an outlier, in place: floats scaled or NaN, bytes inverted; codes and flags stay what they are."""
    if row.dtype.kind == "f":
        row[...] = np.nan if kind == "nan" else row * SCALE
    elif row.dtype == np.uint8:
        row[...] = 255 - row


def take(arrays: Mapping[str, Array], axes: Mapping[str, int | None], rows: Sequence[int]) -> dict[str, Array]:
    """These rows of every batched array, as copies; arrays without a batch axis stay whole."""
    return {
        name: array if (axis := axes.get(name)) is None else np.take(array, rows, axis=axis)
        for name, array in arrays.items()
    }  # fmt: skip


def _same(contract: Contract, case: Case, axes: Mapping[str, int | None], alone: Sequence[Mapping[str, Array]],
          got: Mapping[str, Array], placed: Mapping[int, int]) -> bool:  # fmt: skip
    for name, rule in contract.rules.items():
        axis = cast("int", axes[name])
        reference = np.concatenate([np.moveaxis(alone[row][name], axis, 0) for row in placed])
        batched = np.moveaxis(got[name], axis, 0)[list(placed.values())]
        firm = case.firm.get(name)
        if not judge(rule, reference, batched, None if firm is None else firm[list(placed)]):
            return False
    return True
