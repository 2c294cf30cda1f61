"""The models of a failover chain as things that can be asked, and defaults; cache.py, precomputed.py, endpoint.py hold the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...runtimes.base import LoadOptions
from ...runtimes.isolation import Lane, Restart, isolate
from ...runtimes.tapped import tap_name
from ...sdk.core.codec.codec import Codec
from ...sdk.core.door import Checked, Door
from ...sdk.core.signature import Array, Signature
from ..deployment.resolving import ResolvedModel
from ..deployment.sections import Batch, Model
from .batcher import Batcher
from .batching import Bounds
from .pace import PROBE_ROWS, measured
from .room import Room

Outputs = Mapping[str, Array]
BLOCKING = {"image", "text"}
"""Wire types whose decoding takes long enough to be kept off the event loop."""


@dataclass
class ModelEntry:
    """A model: codec and door of its own in front of the lane.

    Attributes:
        name, digest, target: for receipts.
        artifact: its digest, for records.
        front: entries with the same front share what one of them encoded.
        room: how much may wait for it, and how its calls are batched.
        taps: values that it gives beside its outputs, "boundary/value", for records.
        queue: in front of the lane; None where the lane is inline.
    """

    name: str
    digest: str
    target: str
    artifact: str
    front: str
    signature: Signature
    codec: Codec
    lane: Lane
    room: Room = field(default_factory=Room)
    taps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.queue = None if self.lane.inline else Batcher(self.lane, self.signature, self.room, self.taps)
        self.door = Door(self.signature)
        self.fields = {wire.name for wire in self.codec.wire_fields(self.signature)}
        self.blocking = any(wire.type in BLOCKING for wire in self.codec.wire_fields(self.signature))

    @property
    def ready(self) -> bool:
        """The lane could begin a call now."""
        return self.lane.ready

    def encode(self, wire: Mapping[str, Any]) -> Checked:
        """Wire fields to typed arrays that passed the door. Raises InputError."""
        return self.door.check(self.codec.encode(wire))

    async def ask(self, arrays: Mapping[str, Any], until: float | None) -> dict[str, Array]:
        """The model's answer by `until` (monotonic seconds). Raises EngineError, InputError."""
        if self.queue is None:
            return self.lane.run_inline(arrays, until)
        return await self.queue.ask(arrays, until)

    def warm(self, ends: float) -> None:
        """Wait for a worker process, run a call, and measure how fast calls and batches are. Blocking.

        Raises EngineError, InputError as the model does; what is late is left out.
        """
        if wait := getattr(self.lane.session, "wait_ready", None):
            wait(max(ends - time.monotonic(), 0.1))
        self.lane.run(warm_inputs(self.signature), until=ends)
        if self.queue is not None:
            rows = PROBE_ROWS if self.queue.obstacle == "" else 1
            self.queue.settle(*measured(self._timed(ends), lambda n: warm_inputs(self.signature, min(n, rows)), time.monotonic, ends))

    def _timed(self, ends: float) -> Callable[[Mapping[str, Any]], object]:
        return lambda inputs: self.lane.run(inputs, until=ends)

    def close(self) -> None:
        """Refuse what waits, end the lane."""
        if self.queue is not None:
            self.queue.close()
        self.lane.close()


def warm_inputs(signature: Signature, rows: int = 1) -> dict[str, Any]:
    """Rows that the door would admit in shape and dtype: low ends of ranges, first categories, zeros."""
    inputs: dict[str, Any] = {}
    state = {pair.input for pair in signature.state}
    for spec in signature.inputs:
        if spec.name in state:
            continue
        sizes = [size if isinstance(size, int) else rows if axis == spec.batch_axis else 8 for axis, size in enumerate(spec.shape)]
        low = 0 if spec.range is None or spec.range[0] <= 0 <= spec.range[1] else spec.range[0]
        kind = {"f32": np.float32, "i32": np.int32, "u8": np.uint8, "i8": np.int8, "bool": np.bool_}.get(spec.rim_dtype, object)
        inputs[spec.name] = np.full(sizes, low if kind is not object else "", kind)
    return inputs


def open_model(model: ResolvedModel) -> ModelEntry:
    """Open a resolved model under its isolation. A worker process is started, not awaited."""
    settings = model.settings
    options = LoadOptions(threads=settings.threads, trust=settings.trust, door=False, taps=tuple(model.taps))
    lane = isolate(model.artifact.path, settings.isolation, options, threads=settings.concurrency,
                   restart=Restart(kill_after_s=settings.kill_after_ms / 1000))  # fmt: skip
    artifact, taps = model.artifact, tuple(tap_name(tap, name) for tap, names in model.taps.items() for name in names)
    return ModelEntry(model.name, model.digest, artifact.target, artifact.digest, model.front, model.signature, model.codec, lane,
                      room_of(settings), taps)  # fmt: skip


def room_of(settings: Model) -> Room:
    """The queue in front of a model, as its section says."""
    batch, limits = settings.batch, settings.limits
    held = batch if isinstance(batch, Batch) else Batch()
    merge = True if isinstance(batch, Batch) else batch
    return Room(Bounds(held.max_rows, int(held.max_mb * (1 << 20))), merge, held.max_wait_ms / 1e3, limits.max_waiting,
                int(limits.max_waiting_mb * (1 << 20)), limits.max_inflight or 1 << 30)  # fmt: skip
