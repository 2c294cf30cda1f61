"""What travels through the engine: a question, an answer, and the refusals that are not the caller's fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ...sdk.core.errors import EngineError
from ...sdk.core.records import Receipt
from ...sdk.core.signature import Array, Signature
from ..records.store import RecordStore
from .metrics import Metrics


class Question(NamedTuple):
    """One request. (A NamedTuple, as Answer: one of each is made per request, and a tuple is made four times as fast.)

    Attributes:
        wire: wire field -> batch, as the champion's codec takes it.
        arrived: monotonic seconds; the budget starts here.
        entity, event_ms: see Record.
        parent: id of the record of the graph that asks; None: a caller asks.
        behind: seconds of the budget that were spent before `arrived`.
    """

    wire: Mapping[str, Any]
    arrived: float
    entity: str | None = None
    event_ms: int | None = None
    parent: str | None = None
    behind: float = 0.0


class Pending(NamedTuple):
    """What of an answer waits for a person.

    Attributes:
        reviews: by row: the id of its review; None: the row is decided.
        blank: rows of which the caller is given nothing meanwhile.
        items: the reviews themselves, which have to be durable before the answer leaves.
    """

    reviews: tuple[str | None, ...]
    blank: tuple[int, ...] = ()
    items: tuple[Any, ...] = ()


class Answer(NamedTuple):
    """Outputs with categories as names, the receipt, what the door noticed, and what a person has yet to decide.

    Attributes:
        text: outputs as compact JSON, where they have been written down so.
    """

    outputs: Mapping[str, Array]
    receipt: Receipt
    flags: tuple[Any, ...] = ()
    pending: Pending | None = None
    text: str | None = None


class Answerer(Protocol):
    """What stands behind the doors: one model with its failover chain (Engine), or a graph of them (GraphEngine)."""

    @property
    def inflight(self) -> int:
        """Questions that are being answered."""
        ...

    @property
    def signature(self) -> Signature:
        """What callers see."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What was answered, and refused."""
        ...

    @property
    def records(self) -> RecordStore | None:
        """Where records go; None: nowhere."""
        ...

    async def answer(self, question: Question) -> Answer:
        """Raises InputError (the caller's fault) and NoAnswerError."""
        ...

    def warm(self, seconds: float) -> None:
        """Make ready, blocking. Raises EngineError where that cannot be."""
        ...

    def report(self) -> None:
        """Let the metrics page show this one."""
        ...

    def close(self, records: bool = True) -> None:
        """End what runs; records are flushed, and their writer ended unless another goes on with it."""
        ...


class NoAnswerError(EngineError):
    """Every entry of the chain failed and there is no default; `receipt` says which and why."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        super().__init__("No model could answer", reason="failed", got=", ".join(receipt.attempts) or None,
                         fix="Try again, or end the chain with a default.")  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As the base, with the receipt."""
        return {**super().to_dict(), "error": "NoAnswer", "receipt": self.receipt.to_dict()}


class OverloadedError(NoAnswerError):
    """Every entry that could have answered was busy: not a fault. `retry_after_s`: when there may be room again."""

    def __init__(self, receipt: Receipt, wait_s: float) -> None:
        super().__init__(receipt)
        self.what, self.reason, self.retry_after_s = "The service is busy", "busy", max(1, min(math.ceil(wait_s), 60))
        self.fix = f"Try again in {self.retry_after_s} s."
        self.args = (self._message(),)

    def to_dict(self) -> dict[str, object]:
        """As the base."""
        return {**super().to_dict(), "error": "Overloaded"}


def no_answer(receipt: Receipt, wait_s: Callable[[], float]) -> NoAnswerError:
    """The refusal of a request that nobody answered: an overload where every attempt met a full queue, else a fault."""
    return OverloadedError(receipt, wait_s()) if overloaded(receipt) else NoAnswerError(receipt)


def overloaded(receipt: Receipt) -> bool:
    """Every attempt met a full queue, or nothing that was kept."""
    reasons = {attempt.partition(":")[2] for attempt in receipt.attempts}
    return "busy" in reasons and reasons <= {"busy", "miss"}


class NotReadyError(EngineError):
    """The models are still being loaded, or could not be."""

    def __init__(self, why: str) -> None:
        super().__init__("The service is not ready", reason="busy", got=why)

    def to_dict(self) -> dict[str, object]:
        """As the base."""
        return {**super().to_dict(), "error": "NotReady"}
