"""One execution context of an engine, with a stream and buffers of its own: what a single call at a time works with.

Copies in, the enqueue and copies out are queued on the stream in that order and waited for once. Outputs whose size only the data
decides (NonZero, a suppression of boxes) go through an output allocator, and are copied after a first wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...sdk.core.errors import EngineError
from ...sdk.core.signature import Array
from .binding import Bindings
from .memory import Pair
from .rim import Rim

Shapes = tuple[tuple[int, ...], ...]
MOST_CALLS = 256
"""Combinations of shapes that are remembered."""


@dataclass(frozen=True)
class _Call:
    """What a call of certain shapes touches, worked out once: views of pinned memory, and copies as (to, from, bytes).

    Attributes:
        inputs, outputs: views in the rim's order; None for an output whose size the data decides.
        up, down: copies to the device and back.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array | None, ...]
    up: tuple[tuple[int, int, int], ...]
    down: tuple[tuple[int, int, int], ...]


class Context:
    """Buffers, a stream and an execution context.

    Args:
        held: the packages.
        engine: deserialized.
        rim: how it is called.

    Raises EngineError where the device has no memory left.
    """

    def __init__(self, held: Bindings, engine: Any, rim: Rim) -> None:
        self._held, self._rim, self._stream = held, rim, 0
        self._context: Any = engine.create_execution_context()
        if self._context is None:
            raise EngineError("TensorRT cannot make an execution context", fix="Other processes may hold the GPU's memory: see nvidia-smi.")
        self._stream = int(held.ask("cudaStreamCreateWithFlags", held.cuda.cudaStreamNonBlocking))
        self._pairs = {slot.name: Pair(held) for slot in (*rim.inputs, *rim.outputs)}
        self._dtypes = {slot.name: np.dtype(slot.dtype) for slot in (*rim.inputs, *rim.outputs)}
        self._on_host = {slot.name for slot in rim.inputs if engine.get_tensor_location(slot.name) == held.trt.TensorLocation.HOST}
        self._calls: dict[Shapes, _Call] = {}
        self._shapes: Shapes | None = None
        self._allocators: dict[str, Any] = {}

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """The outputs of the rim, in order; the arrays are the caller's. `feeds`: of the rim's inputs, in order and in its dtypes.

        Raises EngineError.
        """
        call = self._call(tuple([feed.shape for feed in feeds]), feeds)
        cuda, stream = self._held.cuda, self._stream
        for view, feed in zip(call.inputs, feeds, strict=True):
            view[...] = feed
        kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        for there, here, size in call.up:
            self._held.ask("cudaMemcpyAsync", there, here, size, kind, stream)
        if not self._context.execute_async_v3(stream):
            raise EngineError("TensorRT could not enqueue the call", got=f"shapes {self._shapes}")
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        for there, here, size in call.down:
            self._held.ask("cudaMemcpyAsync", there, here, size, kind, stream)
        self._held.ask("cudaStreamSynchronize", stream)
        return [self._late(place) if view is None else view.copy() for place, view in enumerate(call.outputs)]

    def _call(self, shapes: Shapes, feeds: Sequence[Array]) -> _Call:
        """The call of these shapes, with the context told of them."""
        known = self._calls.get(shapes)
        if known is not None and shapes == self._shapes and not self._on_host:
            return known
        self._shapes = None
        self._place_inputs(shapes)
        if self._on_host:  # a tensor on the host may hold a shape: its values decide the outputs' sizes
            for slot, feed in zip(self._rim.inputs, feeds, strict=True):
                self._view(slot.name, feed.shape)[...] = feed
        outputs = self._shape(shapes)
        if known is None or self._on_host:
            known = self._calls[shapes] = self._prepared(shapes, outputs)
            if len(self._calls) > MOST_CALLS:
                self._calls = {shapes: known}
        self._shapes = shapes
        return known

    def _place_inputs(self, shapes: Shapes) -> None:
        for slot, shape in zip(self._rim.inputs, shapes, strict=True):
            self._grow(slot.name, shape, slot.name in self._on_host)

    def _shape(self, shapes: Shapes) -> list[tuple[int, ...] | None]:
        """Tell the context the shapes of a call, and make room for the outputs that follow from them; their shapes, where known."""
        for slot, shape in zip(self._rim.inputs, shapes, strict=True):
            if not self._context.set_input_shape(slot.name, shape):
                raise EngineError("TensorRT does not take the shape of an input", got=f"{slot.name} {shape}", expected=str(slot.shape))
        try:
            unset = self._context.infer_shapes()
        except RuntimeError as error:
            raise EngineError(f"TensorRT cannot tell the shapes of the outputs: {error}") from error
        if unset:
            raise EngineError("TensorRT was not told enough about an input", got=str(unset[0]))
        return [self._place_output(slot.name) for slot in self._rim.outputs]

    def _place_output(self, name: str) -> tuple[int, ...] | None:
        shape = tuple(int(size) for size in self._context.get_tensor_shape(name))
        if min(shape, default=0) >= 0:
            self._grow(name, shape)
            return shape
        if name not in self._allocators:
            self._allocators[name] = allocator_of(self._held, self._pairs[name])
            self._context.set_output_allocator(name, self._allocators[name])
        return None

    def _grow(self, name: str, shape: tuple[int, ...], on_host: bool = False) -> None:
        """Room for a tensor. Where its addresses are new ones, nothing that was worked out holds any more."""
        pair = self._pairs[name]
        if not pair.grow(_bytes(shape, self._dtypes[name])):
            return
        self._calls = {}
        if not self._context.set_tensor_address(name, pair.host if on_host else pair.device):
            raise EngineError("TensorRT does not take the place of a tensor", got=name)

    def _prepared(self, shapes: Shapes, outputs: Sequence[tuple[int, ...] | None]) -> _Call:
        named = [(slot.name, shape) for slot, shape in zip(self._rim.inputs, shapes, strict=True)]
        made = [(slot.name, shape) for slot, shape in zip(self._rim.outputs, outputs, strict=True)]
        up = [(pair.device, pair.host, size) for name, shape in named if name not in self._on_host
              for pair, size in [(self._pairs[name], _bytes(shape, self._dtypes[name]))] if size]  # fmt: skip
        down = [(pair.host, pair.device, size) for name, shape in made if shape is not None
                for pair, size in [(self._pairs[name], _bytes(shape, self._dtypes[name]))] if size]  # fmt: skip
        views = [None if shape is None else self._view(name, shape) for name, shape in made]
        return _Call(tuple(self._view(name, shape) for name, shape in named), tuple(views), tuple(up), tuple(down))

    def _view(self, name: str, shape: tuple[int, ...]) -> Array:
        return self._pairs[name].view(shape, self._dtypes[name])

    def _late(self, place: int) -> Array:
        """An output whose shape is known now that the engine has run."""
        name = self._rim.outputs[place].name
        shape, pair = self._allocators[name].shape, self._pairs[name]
        if size := _bytes(shape, self._dtypes[name]):
            kind = self._held.cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
            self._held.ask("cudaMemcpyAsync", pair.host, pair.device, size, kind, self._stream)
            self._held.ask("cudaStreamSynchronize", self._stream)
        return self._view(name, shape).copy()

    def __del__(self) -> None:
        with suppress(Exception):  # a session that nobody closed; at exit CUDA may be gone before
            self.close()

    def close(self) -> None:
        """Wait for what is queued, then free the buffers and the stream. Raises EngineError where CUDA has failed for good."""
        self._context = None
        if self._stream:
            self._held.ask("cudaStreamSynchronize", self._stream)
        for pair in self._pairs.values():
            pair.free()
        stream, self._stream = self._stream, 0
        if stream:
            self._held.ask("cudaStreamDestroy", stream)


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return prod(shape) * dtype.itemsize


def allocator_of(held: Bindings, pair: Pair) -> Any:
    """What TensorRT asks for memory while it runs, and tells the shape that an output came to have. It wants a class of its own kind."""

    class Allocator(held.trt.IOutputAllocator):
        def __init__(self) -> None:
            held.trt.IOutputAllocator.__init__(self)
            self.shape: tuple[int, ...] = (0,)

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
            pair.grow(size)
            return pair.device

        def reallocate_output_async(self, tensor_name: str, memory: int, size: int, alignment: int, stream: int) -> int:
            return self.reallocate_output(tensor_name, memory, size, alignment)

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.shape = tuple(int(size) for size in shape)

    return Allocator()
