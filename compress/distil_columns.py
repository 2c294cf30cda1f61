"""What a server answered, as what a student is taught: which output is meant, of which kind, and what its classes are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ..sdk.core.data import Data
from ..sdk.core.errors import InputError
from .base import PassContext
from .distil_answers import KINDS, Answers, Loss, classes, numbers
from .distil_endpoint import Endpoint

Columns = Mapping[str, list[Any]]
"""Output -> one value per row."""


def served(endpoint: Endpoint, data: Data, loss: Loss, asked: str | None, kind: str | None, context: PassContext) -> Answers:
    """A server's answers for all rows.

    Args:
        endpoint: who is asked.
        data: rows, all fields of which are sent.
        loss: what they are for.
        asked: the output that the user names; None: the only one of real numbers.
        kind: "score" or "value" as the student needs it; None: told from the answers, as a server does not say it.
        context: keeps answers, hears of progress.

    Raises:
        InputError: no output, or no clear one; answers that are no numbers; rows that the server refused.
        EngineError: the server cannot be asked, or does not answer as one.
    """
    columns = endpoint.columns(data, context)
    name = _meant(columns, asked)
    decided = _decided(columns, name) if loss == "soft" else None
    known = kind if loss == "soft" and kind is not None else None
    found = known or (KINDS[loss][0] if loss != "soft" or decided or _chances(columns[name]) else "value")
    scores = numbers(_array(columns[name]), loss, found, len(data))
    if decided is None or found != "score":
        return Answers(name, found, scores)
    return Answers(name, found, scores, *classes(_array(columns[decided]), scores, None))


def _meant(columns: Columns, asked: str | None) -> str:
    """The output that teaches. Raises InputError where it is not clear."""
    real = [name for name, held in columns.items() if _array(held).dtype.kind == "f"]
    name = asked if asked is not None else real[0] if len(real) == 1 else None
    if name is None or name not in columns:
        raise InputError("It is not clear which of the server's outputs teaches", field="output", got=asked, expected=", ".join(columns),
                         fix="Name one with output=...")  # fmt: skip
    return name


def _decided(columns: Columns, name: str) -> str | None:
    """The output that decides on a class beside the one that teaches."""
    others = [other for other, held in columns.items() if other != name and _array(held).dtype.kind in "iuU"]
    return next((other for other in others if _array(columns[other]).ndim == 1), None)


def _chances(held: list[Any]) -> bool:
    """Several numbers in a row that sum to 1."""
    array = _array(held)
    if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] < 2:
        return False
    return bool((array >= 0).all() and np.abs(array.sum(axis=1) - 1).max() < 1e-3)


def _array(held: list[Any]) -> Any:
    """Rows as an array; of objects where they differ in length."""
    try:
        return np.asarray(held)
    except ValueError:  # numpy's word for rows of different lengths
        return np.array([cast("object", str(row)) for row in held], dtype=object)
