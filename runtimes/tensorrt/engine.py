"""An engine as a Segment: called by name from any number of threads, cut where a call has more rows than it holds.

A call that is queued on the device cannot be stopped; a cancellation is obeyed before every enqueue. Contexts are borrowed from a pool:
while one computes, another copies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, LifoQueue
from typing import Any

import numpy as np

from ...sdk.core.errors import EngineError, FormatError
from ...sdk.core.signature import Array
from ..base import Cancel
from .binding import Bindings
from .context import MOST_CALLS, Context, Shapes
from .rim import Piece, Rim

CONTEXTS = 2
"""At most: each holds the activations of the largest call."""


class TensorRTEngine:
    """One engine, deserialized.

    Args:
        held: the packages.
        engine: of `Runtime.deserialize_cuda_engine`.
        rim: how it is called.
        keep: what must live as long as the engine: the runtime and the logger that it came from.

    Raises:
        FormatError: the engine is not what the rim says.
        EngineError: the device has no room for a context.
    """

    def __init__(self, held: Bindings, engine: Any, rim: Rim, keep: object = None) -> None:
        check_rim(held.trt, engine, rim)
        self.inputs = tuple(slot.name for slot in rim.inputs)
        self.outputs = tuple(slot.name for slot in rim.outputs)
        self._rim, self._index = rim, {name: place for place, name in enumerate(self.outputs)}
        self._dtypes = [np.dtype(slot.dtype) for slot in rim.inputs]
        self._routes: dict[Shapes, list[Piece]] = {}
        self._pool, self._keep = _Pool(held, engine, rim), keep

    def run(self, names: list[str], feeds: dict[str, Array], cancel: Cancel | None = None) -> list[Array]:
        """The outputs `names` for the inputs `feeds`, whose names are exactly the engine's.

        Raises:
            EngineError: TensorRT or CUDA failed, the call was cancelled, or the segment is closed.
            InputError: a size that was not compiled.
        """
        _obey(cancel)
        arrays = [feeds[name] for name in self.inputs]
        for place, array in enumerate(arrays):
            if array.dtype != self._dtypes[place]:  # bytes are copied as they are
                raise EngineError("An input has another dtype than the engine's", got=f"{self.inputs[place]} {array.dtype}",
                                  expected=str(self._dtypes[place]))  # fmt: skip
        shapes = tuple([array.shape for array in arrays])
        pieces = self._routes.get(shapes) or self._route(shapes)
        if not pieces:
            return [_empty(self._rim, self._sizes(shapes), name) for name in names]
        seat, context = self._pool.take()
        try:
            made = context.run(arrays) if len(pieces) == 1 and self._whole(pieces[0]) else self._pieced(context, pieces, arrays, cancel)
        except EngineError as error:
            (self._pool.give if error.reason == "cancelled" else self._pool.drop)(seat)
            raise
        except BaseException:
            self._pool.drop(seat)
            raise
        self._pool.give(seat)
        return [made[self._index[name]] for name in names]

    def _sizes(self, shapes: Shapes) -> dict[str, int]:
        return self._rim.sizes(dict(zip(self.inputs, shapes, strict=True)))

    def _route(self, shapes: Shapes) -> list[Piece]:
        """The pieces of a call of these shapes; worked out once per combination. Raises InputError."""
        pieces = self._rim.pieces(self._sizes(shapes))
        if len(self._routes) < MOST_CALLS:
            self._routes[shapes] = pieces
        return pieces

    def _whole(self, piece: Piece) -> bool:
        """The call goes to the engine as it is."""
        return self._rim.batch is None or not piece.rows or piece.rows >= self._rim.ranges[self._rim.batch][0]

    def _pieced(self, context: Context, pieces: Sequence[Piece], arrays: Sequence[Array], cancel: Cancel | None) -> list[Array]:
        parts: list[list[Array]] = []
        for piece in pieces:
            _obey(cancel)
            made = context.run([_rows(self._rim, place, array, piece) for place, array in enumerate(arrays)])
            parts.append([_kept(self._rim, place, part, piece) for place, part in enumerate(made)])
        axes = [slot.shape.index(str(self._rim.batch)) for slot in self._rim.outputs]
        return [np.concatenate([part[place] for part in parts], axis=axis) for place, axis in enumerate(axes)]

    def close(self) -> None:
        """Free the contexts; calls under way finish."""
        self._pool.close()


def check_rim(trt: Any, engine: Any, rim: Rim) -> None:
    """Raise FormatError unless the engine has exactly these tensors, each on its side and in its dtype."""
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    inputs = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
    sides = ((rim.inputs, inputs), (rim.outputs, set(names) - inputs))
    for slots, found in sides:
        if {slot.name for slot in slots} != found:
            raise FormatError("The engine has other tensors than the artifact says", got=", ".join(sorted(found)),
                              expected=", ".join(slot.name for slot in slots))  # fmt: skip
        for slot in slots:
            if np.dtype(trt.nptype(engine.get_tensor_dtype(slot.name))) != np.dtype(slot.dtype):
                raise FormatError("A tensor of the engine has another dtype than the artifact says",
                                  got=f"{slot.name} {engine.get_tensor_dtype(slot.name)}", expected=slot.dtype)  # fmt: skip


def _rows(rim: Rim, place: int, array: Array, piece: Piece) -> Array:
    """The rows of a piece; where it has fewer than the engine takes, the last one is repeated."""
    slot, batch = rim.inputs[place], rim.batch
    if batch is None or batch not in slot.shape:
        return array
    axis, least = slot.shape.index(batch), rim.ranges[batch][0]
    cut = array[(slice(None),) * axis + (slice(piece.start, piece.start + piece.rows),)]
    missing = [(0, max(0, least - piece.rows)) if held == axis else (0, 0) for held in range(cut.ndim)]
    return np.pad(cut, missing, mode="edge") if piece.rows < least else cut


def _kept(rim: Rim, place: int, part: Array, piece: Piece) -> Array:
    """A piece's own rows, without what was repeated."""
    axis = rim.outputs[place].shape.index(str(rim.batch))
    return part[(slice(None),) * axis + (slice(piece.rows),)]


def _empty(rim: Rim, sizes: dict[str, int], name: str) -> Array:
    """The answer to a call of no rows."""
    slot = next(slot for slot in rim.outputs if slot.name == name)
    return np.zeros([sizes.get(size, 0) if isinstance(size, str) else size for size in slot.shape], slot.dtype)


def _obey(cancel: Cancel | None) -> None:
    if cancel is not None and cancel.cancelled:
        raise EngineError("The call was cancelled", reason="cancelled")


@dataclass
class _Seat:
    """A place at the device: a context, or none yet."""

    context: Context | None = None


class _Pool:
    """Contexts that calls borrow, one each; made when a call finds none, the first at once. One that failed is replaced by a new one."""

    def __init__(self, held: Bindings, engine: Any, rim: Rim) -> None:
        self._make: Callable[[], Context] = lambda: Context(held, engine, rim)
        self._lock, self._closed = threading.Lock(), False
        self._free: LifoQueue[_Seat] = LifoQueue()
        for seat in (*(_Seat() for _ in range(CONTEXTS - 1)), _Seat(self._make())):
            self._free.put(seat)

    def take(self) -> tuple[_Seat, Context]:
        """A context and its seat, to be given back. Raises EngineError when closed, or where no context can be made."""
        seat = self._free.get()
        try:
            if self._closed:
                raise EngineError("The session is closed", reason="closed", fix="Load the artifact again.")
            seat.context = seat.context or self._make()
        except BaseException:
            self._free.put(seat)
            raise
        return seat, seat.context

    def give(self, seat: _Seat) -> None:
        """Back to the pool, or freed where that is closed."""
        with self._lock:
            if self._closed:
                _free(seat)
            self._free.put(seat)

    def drop(self, seat: _Seat) -> None:
        """Free a context whose call went wrong: nobody knows what is still queued on its stream."""
        _free(seat)
        self._free.put(seat)

    def close(self) -> None:
        """Free the contexts that nobody has; the others are freed when they come back."""
        seats: list[_Seat] = []
        with self._lock:
            self._closed = True
            with suppress(Empty):
                while True:
                    seats.append(self._free.get_nowait())
            for seat in seats:
                _free(seat)
                self._free.put(seat)


def _free(seat: _Seat) -> None:
    context, seat.context = seat.context, None
    if context is not None:
        with suppress(EngineError):  # a device that has failed for good frees nothing any more
            context.close()
