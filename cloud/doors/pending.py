"""How an answer says that a person has yet to decide: `status`, the id of the review, and nothing in the place of what is withheld.

| where | one row | several rows |
|---|---|---|
| JSON, form of one row | `"status": "pending", "review": "0198..."`; withheld outputs are null | |
| JSON, other forms | | `"review": [null, "0198..."]`: null where the row is decided |
| Open Inference Protocol | parameters `status`, `review` | `review`: ids with ", " between, `review_rows`: their rows |
| headers | `x-portside-status`, `x-portside-review` | the first `MOST` ids, and `x-portside-review-rows` |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ...sdk.core.signature import Signature
from ..answering.answers import Answer, Pending
from .asgi import Headers

PENDING = "pending"
MOST = 16
"""Ids in a header: those of all rows would not fit."""


def status(pending: Pending, one: bool) -> dict[str, Any]:
    """What stands beside the outputs of a JSON answer. `one`: the request was of one row."""
    return {"status": PENDING, "review": pending.reviews[0] if one else list(pending.reviews)}


def withheld(outputs: Any, pending: Pending, signature: Signature) -> Any:
    """Outputs as `Wire.write` made them, with null where nothing is given yet."""
    if not pending.blank:
        return outputs
    if isinstance(outputs, list):
        rows = cast("list[dict[str, Any]]", outputs)
        return [dict.fromkeys(held) if row in pending.blank else held for row, held in enumerate(rows)]
    held = cast("dict[str, Any]", outputs)
    axes = {spec.name: spec.batch_axis for spec in signature.outputs}
    return {name: _column(value, axes[name], pending) for name, value in held.items()}


def one_withheld(outputs: Mapping[str, Any], pending: Pending) -> Mapping[str, Any]:
    """The same for the form of one row."""
    return dict.fromkeys(outputs) if pending.blank else outputs


def headers(answer: Answer) -> Headers:
    """The receipt of an answer as headers, and what it waits for."""
    told = answer.receipt.to_headers()
    if answer.pending is None:
        return told
    rows, ids = _waiting(answer.pending)
    told += [(b"x-portside-status", PENDING.encode()), (b"x-portside-review", ", ".join(ids[:MOST]).encode())]
    if len(answer.pending.reviews) > 1:
        told.append((b"x-portside-review-rows", ", ".join(map(str, rows[:MOST])).encode()))
    return told


def parameters(pending: Pending) -> dict[str, str]:
    """The same as parameters of the Open Inference Protocol, which are flat."""
    rows, ids = _waiting(pending)
    said = {"status": PENDING, "review": ", ".join(ids)}
    return {**said, "review_rows": ", ".join(map(str, rows))} if len(pending.reviews) > 1 else said


def _waiting(pending: Pending) -> tuple[list[int], list[str]]:
    found = [(row, number) for row, number in enumerate(pending.reviews) if number is not None]
    return [row for row, _ in found], [number for _, number in found]


def _column(value: Any, axis: int | None, pending: Pending) -> Any:
    """A column with null in the rows that wait; one that is not split by row was covered as a whole."""
    if axis is None:
        return None
    if axis:
        return value
    listed: list[Any] = value.tolist() if isinstance(value, np.ndarray) else list(value)
    for row in pending.blank:
        listed[row] = None
    return listed
