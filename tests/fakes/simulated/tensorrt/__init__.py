"""TensorRT 11 as its binding offers it, computed by ONNX Runtime on simulated device memory.

Every method has the name and the parameters of the real one (tests/vectors/tensorrt_signatures.json was recorded from it). The parser
refuses what the real one was seen to refuse; an engine is good for the GPU, driver and version that it was built on.
"""

from __future__ import annotations

from cuda.bindings import runtime as _cuda

from .simulated_builder import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    IOptimizationProfile,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from .simulated_engine import ICudaEngine, IExecutionContext, Runtime
from .simulated_values import (
    BuilderFlag,
    DataType,
    IHostMemory,
    ILogger,
    IOutputAllocator,
    ITensor,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    TensorIOMode,
    TensorLocation,
    nptype,
)

__all__ = [
    "Builder", "BuilderFlag", "DataType", "IBuilderConfig", "ICudaEngine", "IExecutionContext", "IHostMemory", "ILogger",
    "INetworkDefinition", "IOptimizationProfile", "IOutputAllocator", "ITensor", "ITimingCache", "MemoryPoolType",
    "NetworkDefinitionCreationFlag", "OnnxParser", "ParserError", "Runtime", "TensorIOMode", "TensorLocation", "nptype",
]  # fmt: skip


def __getattr__(name):
    if name == "__version__":
        return _cuda.machine.tensorrt
    raise AttributeError(name)
