"""CUDA's runtime as `cuda.bindings.runtime` offers it, without a device: memory, streams and errors behave, nothing is fast.

Addresses of the device are numbers that no host may read. Work on a stream is queued, and done when the stream is waited for, so that a
wait that was forgotten shows. A copy or an engine that leaves its memory, or uses memory that was freed, is an error, as on a device.
"""

from __future__ import annotations

import ctypes
import os
from enum import IntEnum
from types import SimpleNamespace


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalAddress = 700


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


cudaStreamNonBlocking = 1
WORDS = {
    1: "invalid argument",
    2: "out of memory",
    35: "CUDA driver version is insufficient for CUDA runtime version",
    100: "no CUDA-capable device is detected",
    400: "invalid resource handle",
    700: "an illegal memory access was encountered",
}


class Machine:
    """What the tests set, and what they look at afterwards. Environment variables reach other processes too."""

    def __init__(self):
        self.gpus = int(os.environ.get("SIMULATED_GPUS", "1"))
        self.name = os.environ.get("SIMULATED_GPU", "Simulated 9000")
        self.capability = (9, 0)
        self.cuda = int(os.environ.get("SIMULATED_CUDA", "13000"))
        self.tensorrt = os.environ.get("SIMULATED_TENSORRT", "11.4.0.106")
        self.memory, self.host, self.streams = {}, {}, {}
        self.next, self.fails, self.calls, self.lost = 0x7000_0000_0000, {}, [], False
        self.skew = 0.0  # added to every float that an engine puts out: one that answers wrongly

    def outcome(self, call):
        """The error that this call is to return, if one was ordered: fails[call] = (error, how often)."""
        self.calls.append(call)
        if self.lost:
            return cudaError_t.cudaErrorIllegalAddress
        error, times = self.fails.get(call, (cudaError_t.cudaSuccess, 0))
        if times:
            self.fails[call] = (error, times - 1)
            return error
        return cudaError_t.cudaSuccess if self.gpus else cudaError_t.cudaErrorNoDevice

    def region(self, address, size):
        """(buffer, offset) of device memory; None where it is not all the caller's."""
        for base, held in self.memory.items():
            if base <= address and address + size <= base + len(held):
                return held, address - base
        return None


machine = Machine()


def _answer(call, *values):
    error = machine.outcome(call)
    return (error, *(values if error == 0 else [None] * len(values)))


def cudaGetDeviceCount():
    return _answer("cudaGetDeviceCount", machine.gpus)


def cudaGetDevice():
    return _answer("cudaGetDevice", 0)


def cudaGetDeviceProperties(device):
    major, minor = machine.capability
    return _answer("cudaGetDeviceProperties", SimpleNamespace(name=machine.name.encode(), major=major, minor=minor))


def cudaDriverGetVersion():
    return _answer("cudaDriverGetVersion", machine.cuda)


def cudaGetErrorString(error):
    return (cudaError_t.cudaSuccess, WORDS.get(int(error), "unknown error").encode())


def cudaMalloc(size):
    error, address = _answer("cudaMalloc", machine.next)
    if error == 0:
        machine.memory[address] = bytearray(b"\xcd" * size)
        machine.next += (size // 256 + 2) * 256
    return error, address


def cudaMallocHost(size):
    error, _ = _answer("cudaMallocHost", None)
    if error != 0:
        return error, None
    buffer = (ctypes.c_ubyte * size)()
    machine.host[ctypes.addressof(buffer)] = buffer
    return error, ctypes.addressof(buffer)


def cudaFree(devPtr):
    (error,) = _answer("cudaFree")
    return (error if error else _freed(machine.memory, devPtr),)


def cudaFreeHost(ptr):
    (error,) = _answer("cudaFreeHost")
    return (error if error else _freed(machine.host, ptr),)


def _freed(memory, address):
    return cudaError_t.cudaSuccess if memory.pop(address, None) is not None else cudaError_t.cudaErrorInvalidValue


def cudaStreamCreateWithFlags(flags):
    handle = len(machine.calls) + 0x5000
    error, made = _answer("cudaStreamCreateWithFlags", handle)
    if error == 0:
        machine.streams[made] = []
    return error, made


def cudaStreamDestroy(stream):
    (error,) = _answer("cudaStreamDestroy")
    if error == 0 and machine.streams.pop(stream, None) is None:
        return (cudaError_t.cudaErrorInvalidResourceHandle,)
    return (error,)


def cudaMemcpyAsync(dst, src, count, kind, stream):
    (error,) = _answer("cudaMemcpyAsync")
    if error:
        return (error,)
    if stream not in machine.streams or count <= 0:
        return (cudaError_t.cudaErrorInvalidValue,)
    machine.streams[stream].append(lambda: _copy(dst, src, count, kind))
    return (error,)


def _copy(dst, src, count, kind):
    device, host = (dst, src) if kind == cudaMemcpyKind.cudaMemcpyHostToDevice else (src, dst)
    found = machine.region(device, count)
    pinned = any(base <= host and host + count <= base + len(held) for base, held in machine.host.items())
    if found is None or not pinned:
        return False
    buffer, offset = found
    if device == dst:
        buffer[offset : offset + count] = ctypes.string_at(host, count)
    else:
        ctypes.memmove(host, bytes(buffer[offset : offset + count]), count)
    return True


def cudaStreamSynchronize(stream):
    (error,) = _answer("cudaStreamSynchronize")
    if error:
        return (error,)
    if stream not in machine.streams:
        return (cudaError_t.cudaErrorInvalidResourceHandle,)
    return (drain(stream),)


def drain(stream):
    """Do what is queued. An access that is not allowed is sticky: every later call fails."""
    work, machine.streams[stream] = machine.streams[stream], []
    for step in work:
        if not step():
            machine.lost = True
            return cudaError_t.cudaErrorIllegalAddress
    return cudaError_t.cudaSuccess
