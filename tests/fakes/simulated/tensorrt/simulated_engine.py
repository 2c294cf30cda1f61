"""Engines and contexts of the simulated TensorRT, computed by ONNX Runtime on simulated device memory."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime as ort
from cuda.bindings import runtime as cuda

from .simulated_values import MAGIC, ILogger, ITensor, TensorIOMode, TensorLocation, dtype_of, place


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        head, _, model = bytes(serialized_engine).removeprefix(MAGIC).partition(b"\n")
        if not bytes(serialized_engine).startswith(MAGIC):
            self.logger.log(ILogger.ERROR, "Error Code 1: Serialization assertion failed: magic tag does not match")
            return None
        described = json.loads(head)
        if {key: described[key] for key in place()} != place():
            self.logger.log(ILogger.ERROR, "Error Code 1: the engine plan file is not compatible with this version of TensorRT")
            return None
        return ICudaEngine(model, described)


class ICudaEngine:
    def __init__(self, model, head):
        self._model, self._head = onnx.load_from_string(model), head
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # further ones make float8 products that it lacks
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        graph = self._model.graph
        self._tensors = {value.name: value for value in (*graph.input, *graph.output)}
        self._inputs = [value.name for value in graph.input]

    @property
    def num_io_tensors(self):
        return len(self._tensors)

    def get_tensor_name(self, index):
        return list(self._tensors)[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return dtype_of(self._tensors[name])

    def get_tensor_location(self, name):
        return TensorLocation.HOST if name.startswith("host_") else TensorLocation.DEVICE

    def create_execution_context(self, strategy=None):
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self._engine, self._shapes, self._addresses, self._allocators, self._made = engine, {}, {}, {}, {}

    def set_input_shape(self, name, shape):
        limits = self._engine._head["profile"].get(name)
        known = ITensor(self._engine._tensors[name]).shape
        low, high = (limits[0], limits[2]) if limits else (known, known)
        if len(shape) != len(known) or not all(a <= size <= b for a, size, b in zip(low, shape, high, strict=True)):
            return False
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self):
        unset = [name for name in self._engine._inputs if name not in self._shapes]
        if unset:
            return unset
        zeros = {name: np.zeros(self._shapes[name], self._engine.get_tensor_dtype(name).value) for name in self._engine._inputs}
        for name in zeros:
            if self._engine.get_tensor_location(name) is TensorLocation.HOST:
                zeros[name] = _read(self._addresses[name], self._shapes[name], zeros[name].dtype, TensorLocation.HOST)
        try:
            made = self._engine._session.run(None, zeros)
        except Exception as error:
            raise RuntimeError(str(error)) from error
        outputs = [value.name for value in self._engine._model.graph.output]
        self._made = dict(zip(outputs, [array.shape for array in made], strict=True))
        return []

    def get_tensor_shape(self, name):
        if name in self._shapes:
            return self._shapes[name]
        own = {size.dim_param for size in self._engine._tensors[name].type.tensor_type.shape.dim if size.dim_param}
        given = {size.dim_param for key in self._engine._inputs for size in self._engine._tensors[key].type.tensor_type.shape.dim}
        late = bool(own - given)
        return tuple(-1 if late and size == 0 else size for size in self._made[name]) if late else self._made[name]

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return True

    def set_output_allocator(self, name, output_allocator):
        assert output_allocator.ready
        self._allocators[name] = output_allocator
        return True

    def execute_async_v3(self, stream_handle):
        cuda.machine.calls.append("execute_async_v3")
        wanted = [name for name in self._engine._tensors if name not in self._allocators]
        if stream_handle not in cuda.machine.streams or any(name not in self._addresses for name in wanted) or not self._made:
            return False
        if cuda.machine.fails.get("execute_async_v3", (0, 0))[1]:
            return False
        shapes, addresses = dict(self._shapes), dict(self._addresses)
        cuda.machine.streams[stream_handle].append(lambda: self._compute(shapes, addresses, stream_handle))
        return not self._allocators or cuda.drain(stream_handle) == 0

    def _compute(self, shapes, addresses, stream):
        engine, feeds = self._engine, {}
        for name in engine._inputs:
            feeds[name] = _read(addresses[name], shapes[name], engine.get_tensor_dtype(name).value, engine.get_tensor_location(name))
            if feeds[name] is None:
                return False
        names = [value.name for value in engine._model.graph.output]
        for name, array in zip(names, engine._session.run(names, feeds), strict=True):
            array = array + np.float32(cuda.machine.skew) if cuda.machine.skew and array.dtype == np.float32 else array
            address = addresses.get(name)
            if name in self._allocators:
                address = self._allocators[name].reallocate_output_async(name, 0, array.nbytes, 256, stream)
                self._allocators[name].notify_shape(name, array.shape)
            found = cuda.machine.region(address, array.nbytes)
            if found is None:
                return False
            buffer, offset = found
            buffer[offset : offset + array.nbytes] = array.tobytes()
        return True


def _read(address, shape, dtype, location):
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if location is TensorLocation.HOST:
        return np.frombuffer(cuda.machine.host[address], dtype, count=int(np.prod(shape, dtype=np.int64))).reshape(shape)
    found = cuda.machine.region(address, size)
    if found is None:
        return None
    return np.frombuffer(bytes(found[0][found[1] : found[1] + size]), dtype).reshape(shape)
