"""The builder and the parser of the simulated TensorRT: what they refuse is what the real ones were seen to refuse."""

from __future__ import annotations

import json

import onnx
from cuda.bindings import runtime as cuda

from .simulated_values import MAGIC, BuilderFlag, IHostMemory, ILogger, ITensor, NetworkDefinitionCreationFlag, place


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
        head = {**place(), "profile": shapes, "strict": BuilderFlag.STRICT_NANS in config.flags, "tf32": BuilderFlag.TF32 in config.flags}
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
