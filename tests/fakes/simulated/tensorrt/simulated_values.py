"""What both sides of the simulated TensorRT share: enumerations, tensors, and the place that engines are good for."""

from __future__ import annotations

from enum import Enum, IntEnum

import numpy as np
import onnx
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
        self.name, self.dtype = value.name, dtype_of(value)
        self.shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim)


def place():
    held = cuda.machine
    return {"gpu": held.name, "capability": list(held.capability), "cuda": held.cuda, "version": held.tensorrt}


def dtype_of(value):
    return DataType(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name)
