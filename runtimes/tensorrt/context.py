"""One execution context of an engine, with a stream and buffers of its own: what a single call at a time works with.

Copies in, the enqueue and copies out are queued on the stream in that order and waited for once. Outputs whose size only the data
decides (NonZero, a suppression of boxes) go through an output allocator, and are copied after a first wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ...sdk.core.errors import EngineError
from ...sdk.core.signature import Array
from .binding import Bindings
from .memory import Pair
from .rim import Rim

Shapes = tuple[tuple[int, ...], ...]


class Context:
    """Buffers, a stream and an execution context.

    Args:
        held: the packages.
        engine: deserialized.
        rim: how it is called.

    Raises EngineError where the device has no memory left.
    """

    def __init__(self, held: Bindings, engine: Any, rim: Rim) -> None:
        self._held, self._rim = held, rim
        self._context: Any = engine.create_execution_context()
        if self._context is None:
            raise EngineError("TensorRT cannot make an execution context", fix="Other processes may hold the GPU's memory: see nvidia-smi.")
        self._stream = int(held.ask("cudaStreamCreateWithFlags", held.cuda.cudaStreamNonBlocking))
        self._pairs = {slot.name: Pair(held) for slot in (*rim.inputs, *rim.outputs)}
        self._dtypes = {slot.name: np.dtype(slot.dtype) for slot in (*rim.inputs, *rim.outputs)}
        self._on_host = {slot.name for slot in rim.inputs if engine.get_tensor_location(slot.name) == held.trt.TensorLocation.HOST}
        self._shapes: Shapes | None = None
        self._outputs: dict[str, tuple[int, ...] | None] = {}
        self._allocators: dict[str, Any] = {}

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """The outputs of the rim, in order; the arrays are the caller's. `feeds`: of the rim's inputs, in order, contiguous or not.

        Raises EngineError.
        """
        arrays = [np.ascontiguousarray(feed) for feed in feeds]
        shapes = tuple(feed.shape for feed in feeds)
        sizes = [array.nbytes for array in arrays]
        self._place_inputs(sizes)
        for slot, array, shape in zip(self._rim.inputs, arrays, shapes, strict=True):
            self._pairs[slot.name].view(shape, self._dtypes[slot.name])[...] = array.reshape(shape)
        if shapes != self._shapes or self._on_host:  # a tensor on the host may hold a shape: its values decide the outputs' sizes
            self._shapes = None
            self._shape(shapes)
            self._shapes = shapes
        for slot, size in zip(self._rim.inputs, sizes, strict=True):
            if slot.name not in self._on_host:
                self._pairs[slot.name].upload(size, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise EngineError("TensorRT could not enqueue the call", got=f"shapes {shapes}")
        return self._collect()

    def _place_inputs(self, sizes: Sequence[int]) -> None:
        for slot, size in zip(self._rim.inputs, sizes, strict=True):
            pair = self._pairs[slot.name]
            if pair.grow(size):
                self._address(slot.name, pair.host if slot.name in self._on_host else pair.device)

    def _shape(self, shapes: Shapes) -> None:
        """Tell the context the shapes of a call, and make room for the outputs that follow from them."""
        for slot, shape in zip(self._rim.inputs, shapes, strict=True):
            if not self._context.set_input_shape(slot.name, shape):
                raise EngineError("TensorRT does not take the shape of an input", got=f"{slot.name} {shape}", expected=str(slot.shape))
        try:
            unset = self._context.infer_shapes()
        except RuntimeError as error:
            raise EngineError(f"TensorRT cannot tell the shapes of the outputs: {error}") from error
        if unset:
            raise EngineError("TensorRT was not told enough about an input", got=str(unset[0]))
        for slot in self._rim.outputs:
            shape = tuple(int(size) for size in self._context.get_tensor_shape(slot.name))
            self._outputs[slot.name] = None if min(shape, default=0) < 0 else shape
            self._place_output(slot.name, self._outputs[slot.name])

    def _place_output(self, name: str, shape: tuple[int, ...] | None) -> None:
        pair = self._pairs[name]
        if shape is None:
            if name not in self._allocators:
                self._allocators[name] = allocator_of(self._held, pair)
                self._context.set_output_allocator(name, self._allocators[name])
        elif pair.grow(_bytes(shape, self._dtypes[name])):
            self._address(name, pair.device)

    def _address(self, name: str, address: int) -> None:
        if not self._context.set_tensor_address(name, address):
            raise EngineError("TensorRT does not take the place of a tensor", got=name)

    def _collect(self) -> list[Array]:
        """Wait for the stream, and the outputs as arrays of their own."""
        known = {name: shape for name, shape in self._outputs.items() if shape is not None}
        self._download(known)
        if late := {name: self._allocators[name].shape for name, shape in self._outputs.items() if shape is None}:
            self._download(late)
        shapes = {**known, **late} if late else known
        return [self._pairs[slot.name].view(shapes[slot.name], self._dtypes[slot.name]).copy() for slot in self._rim.outputs]

    def _download(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            self._pairs[name].download(_bytes(shape, self._dtypes[name]), self._stream)
        self._held.ask("cudaStreamSynchronize", self._stream)

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
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


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
