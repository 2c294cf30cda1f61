"""How much may wait for a model, and how its calls share batches: the settings of a queue."""

from __future__ import annotations

from dataclasses import dataclass, field

from .batching import Bounds


@dataclass(frozen=True)
class Room:
    """How much may wait for a model, and how it is batched.

    Attributes:
        bounds: of one batch.
        merge: calls may share a batch; None: where it is worth it, as measured while the model warms up.
        max_wait_s: under load, how long a batch that is not full may wait for more calls.
        max_waiting, max_waiting_bytes: of the queue.
        max_inflight: calls that wait or run.
    """

    bounds: Bounds = field(default_factory=Bounds)
    merge: bool | None = None
    max_wait_s: float = 0.0
    max_waiting: int = 1024
    max_waiting_bytes: int = 256 << 20
    max_inflight: int = 1 << 30
