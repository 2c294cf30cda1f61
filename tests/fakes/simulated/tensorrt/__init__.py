"""TensorRT 11 as its binding offers it, computed by ONNX Runtime on simulated device memory.

Every method has the name and the parameters of the real one (tests/vectors/tensorrt_signatures.json was recorded from it). The parser
refuses what the real one was seen to refuse; an engine is good for the GPU, driver and version that it was built on.
"""

from __future__ import annotations

import json
from enum import Enum, IntEnum

import numpy as np
import onnx
import onnxruntime as ort
from cuda.bindings import runtime as cuda

MAGIC = b"simulated engine\n"


class DataType(Enum):
    FLOAT, HALF, INT8, INT32, INT64, BOOL, UINT8 = "float32", "float16", "int8", "int32", "int64", "bool", "uint8"


TensorIOMode = Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
TensorLocation = Enum("TensorLocation", ["DEVICE", "HOST"])
BuilderFlag = Enum("BuilderFlag", ["TF32", "STRICT_NANS"])
MemoryPoolType = Enum("MemoryPoolType", ["WORKSPACE"])


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


def nptype(trt_type):
    return np.dtype(trt_type.value).type


def __getattr__(name):
    if name == "__version__":
        return cuda.machine.tensorrt
    raise AttributeError(name)


class ILogger:
    Severity = Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def __init__(self):
        pass

    def log(self, severity, msg):
        raise NotImplementedError


class IOutputAllocator:
    def __init__(self):
        self.ready = True


class IHostMemory(bytes):
    @property
    def nbytes(self):
        return len(self)


class ITensor:
    def __init__(self, value):
        self.name, self.dtype = value.name, _dtype(value)
        self.shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim)


class INetworkDefinition:
    def __init__(self):
        self.model = None

    @property
    def num_inputs(self):
        return len(self.model.graph.input)

    @property
    def num_layers(self):
        return len(self.model.graph.node)

    def get_input(self, index):
        return ITensor(self.model.graph.input[index])


class IOptimizationProfile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, input, min, opt, max):  # noqa: A002 - the real names
        self.shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    def __init__(self, data):
        self.data = data

    def serialize(self):
        return IHostMemory(self.data)


class IBuilderConfig:
    def __init__(self):
        self.builder_optimization_level, self.flags, self.profiles, self.cache, self.limits = 3, {BuilderFlag.TF32}, [], None, {}

    def set_flag(self, flag):
        self.flags.add(flag)

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool, pool_size):
        self.limits[pool] = pool_size

    def add_optimization_profile(self, profile):
        if any(not a <= b <= c for low, usual, high in profile.shapes.values() for a, b, c in zip(low, usual, high, strict=True)):
            return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache):
        return ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache, ignore_mismatch):
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class Builder:
    builds = 0

    def __init__(self, logger):
        if not isinstance(logger, ILogger):
            raise TypeError("__init__(): incompatible constructor arguments")
        if not cuda.machine.gpus:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self.logger = logger

    def create_network(self, flags=0):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        Builder.builds += 1
        shapes = config.profiles[0].shapes if config.profiles else {}
        for value in network.model.graph.input:
            if -1 in ITensor(value).shape and value.name not in shapes:
                self.logger.log(ILogger.ERROR, f"Error Code 4: no optimization profile for {value.name}")
                return None
        if config.cache is not None:
            config.cache.data += b"timed;"
        head = {**_place(), "profile": shapes, "strict": BuilderFlag.STRICT_NANS in config.flags, "tf32": BuilderFlag.TF32 in config.flags}
        return IHostMemory(MAGIC + json.dumps(head).encode() + b"\n" + network.model.SerializeToString())


class ParserError:
    def __init__(self, node, why):
        self._node, self._why = node, why

    def desc(self):
        return self._why

    def node_name(self):
        return self._node.name

    def node_operator(self):
        return self._node.op_type


class OnnxParser:
    def __init__(self, network, logger):
        self._network, self._errors = network, []

    def parse_from_file(self, model):
        held = onnx.load(model)
        types = {value.name: value.type.tensor_type.elem_type for value in onnx.shape_inference.infer_shapes(held).graph.value_info}
        types |= {value.name: value.type.tensor_type.elem_type for value in held.graph.input}
        self._errors = [ParserError(node, why) for node in held.graph.node if (why := _refusal(node, types))]
        self._network.model = held
        return not self._errors

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, index):
        return self._errors[index]


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        head, _, model = bytes(serialized_engine).removeprefix(MAGIC).partition(b"\n")
        if not bytes(serialized_engine).startswith(MAGIC):
            self.logger.log(ILogger.ERROR, "Error Code 1: Serialization assertion failed: magic tag does not match")
            return None
        described = json.loads(head)
        if {key: described[key] for key in _place()} != _place():
            self.logger.log(ILogger.ERROR, "Error Code 1: the engine plan file is not compatible with this version of TensorRT")
            return None
        return ICudaEngine(model, described)


class ICudaEngine:
    def __init__(self, model, head):
        self._model, self._head = onnx.load_from_string(model), head
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
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
        return _dtype(self._tensors[name])

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


def _place():
    held = cuda.machine
    return {"gpu": held.name, "capability": list(held.capability), "driver": held.driver, "version": held.tensorrt}


def _dtype(value):
    return DataType(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name)


def _refusal(node, types):
    """What TensorRT's parser was seen to refuse."""
    if node.domain not in ("", "ai.onnx"):
        return "Plugin not found, are the plugin name, version, and namespace correct?"
    if node.op_type == "Resize" and any(held.name == "antialias" and held.i for held in node.attribute):
        return "Antialiasing is not supported currently."
    bytes_in = any(types.get(name) == onnx.TensorProto.UINT8 for name in node.input)
    if bytes_in and node.op_type not in ("Cast", "QuantizeLinear", "DequantizeLinear"):
        return f"first input has type UInt8 but must have another ({node.op_type})"
    return None
