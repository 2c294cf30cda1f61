"""What travels inside a graph: a request on its way, what became of a step, the parts of one that is split."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ...sdk.core.signature import Array
from ..answering.answers import Answer, NoAnswerError, Question
from .receipts import StepReceipt
from .references import Reference
from .rows import Answered, Missing, Rows, number, places

T = TypeVar("T")
Found: TypeAlias = Answer | NoAnswerError | str
"""What became of one part; text: why it was given up."""


@dataclass(frozen=True)
class Asked:
    """A request on its way through the graph.

    Attributes:
        wire, total: its fields and how many rows they have.
        parent: id of the graph's record.
    """

    question: Question
    wire: dict[str, Any]
    total: int
    parent: str | None


@dataclass(frozen=True)
class Ended:
    """What became of a step: its result, its receipt, what the door noticed about fields of the request.

    `wait_s`: of a step that was busy, when there may be room again.
    """

    result: Answered | Missing
    receipt: StepReceipt
    flags: tuple[Any, ...] = ()
    wait_s: float = 0.0


def begun(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task whose error, where nobody waits for it any more, is no news: the one that was waited for has been told."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task


def given(found: Answered | Missing, source: Reference, rows: Rows, total: int) -> Any:
    """Another step's output for these rows."""
    assert isinstance(found, Answered)  # noqa: S101  the plan starts nothing without its inputs
    plain = source.index is None and source.over is None
    value = found.outputs[source.name] if plain else number(found, source)
    axis = found.axes[source.name] if plain or found.axes[source.name] is None else 0
    if axis is None or (rows is None and found.rows is None):
        return value
    return np.take(value, places(found.rows, rows, total), axis=axis)


def why_of(one: Found) -> str:
    """Why a part is not what it should be; "" where it is."""
    if isinstance(one, str):
        return one
    return "" if isinstance(one, Answer) and one.receipt.entry == 0 else one.receipt.reason


def joined(answers: Sequence[Answer], axes: Mapping[str, int | None]) -> dict[str, Array]:
    """The outputs of parts, one behind the other."""
    first = answers[0].outputs
    return {name: array if axes[name] is None else np.concatenate([one.outputs[name] for one in answers], axis=axes[name])
            for name, array in first.items()}  # fmt: skip
