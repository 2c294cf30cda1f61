"""The simulated TensorRT has the real one's names and parameters, and is as strict as a device about memory, streams and places."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "tensorrt_signatures.json"
RECORDED = json.loads(VECTORS.read_text())


def parameters(documented):
    """["1. set_shape(self: A, input: str, min: Dims) -> None", ...] -> the names of each form."""
    inner = [re.search(r"\((.*)\)", re.sub(r"<[^>]*>", "", line))[1] for line in documented]
    return [[re.split(r"[:=]", part)[0].split()[-1] for part in text.split(", ") if part.strip()] for text in inner]


def methods(module):
    for kind, held in vars(module).items():
        if (inspect.isclass(held) and f"{kind}.__init__" in RECORDED["tensorrt"]["signatures"]) or any(
            name.startswith(f"{kind}.") for name in RECORDED["tensorrt"]["signatures"]
        ):
            yield from ((f"{kind}.{name}", made) for name, made in vars(held).items() if inspect.isfunction(made))


def test_every_method_has_the_recorded_parameters(simulated_tensorrt):
    known = RECORDED["tensorrt"]["signatures"]
    seen = {name: made for name, made in methods(simulated_tensorrt.trt) if not name.rpartition(".")[2].startswith("_") or name in known}
    assert len(seen) > 25
    for name, made in seen.items():
        assert name in known, f"{name} is not a method of TensorRT {RECORDED['tensorrt']['version']} that was recorded"
        assert list(inspect.signature(made).parameters) in parameters(known[name]), name


def test_every_call_of_cuda_has_the_recorded_parameters(simulated_tensorrt):
    for name, documented in RECORDED["cuda"]["signatures"].items():
        assert [list(inspect.signature(getattr(simulated_tensorrt.cuda, name)).parameters)] == parameters([documented]), name


def test_the_runtime_calls_nothing_that_was_not_recorded():
    """Attributes that the runtime's own files use of a context, an engine, a builder or CUDA."""
    folder = Path(inspect.getfile(__import__("portside.runtimes.tensorrt.context", fromlist=["x"]))).parent
    text = "\n".join(path.read_text() for path in folder.glob("*.py"))
    asked = set(re.findall(r"\.ask\(\"(\w+)\"", text)) | set(re.findall(r"cuda\.(cuda[A-Z]\w+)\(", text))
    assert asked and asked == set(RECORDED["cuda"]["signatures"])
    used = set(re.findall(r"\.((?:get|set|create|add|build|deserialize|execute|infer|parse|clear)_\w+)\(", text))
    known = {name.rpartition(".")[2] for name in RECORDED["tensorrt"]["signatures"]}
    own = {"set_compute_capability", "get_nowait"}  # of TensorRT-RTX alone, for the build check; of a queue
    assert used - known == own


def test_work_waits_for_the_stream_and_memory_is_fenced(simulated_tensorrt):
    cuda, kinds = simulated_tensorrt.cuda, simulated_tensorrt.cuda.cudaMemcpyKind
    _, stream = cuda.cudaStreamCreateWithFlags(1)
    (_, device), (_, host) = cuda.cudaMalloc(16), cuda.cudaMallocHost(16)
    cuda.machine.host[host][0] = 7
    assert cuda.cudaMemcpyAsync(device, host, 16, kinds.cudaMemcpyHostToDevice, stream) == (0,)
    assert cuda.machine.memory[device][0] == 0xCD
    assert cuda.cudaStreamSynchronize(stream) == (0,)
    assert cuda.machine.memory[device][0] == 7
    cuda.cudaMemcpyAsync(device, host, 17, kinds.cudaMemcpyHostToDevice, stream)
    assert cuda.cudaStreamSynchronize(stream) == (cuda.cudaError_t.cudaErrorIllegalAddress,)
    assert cuda.cudaMalloc(1) == (cuda.cudaError_t.cudaErrorIllegalAddress, None)


def test_what_the_parser_refuses_is_refused_here_too(simulated_tensorrt, tmp_path):
    from onnx import TensorProto, helper, save

    rim = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"], name="neg")], "g", rim[:1], rim[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(tmp_path / "m.onnx"))
    trt = simulated_tensorrt.trt
    parser = trt.OnnxParser(trt.Builder(trt.ILogger()).create_network(2), trt.ILogger())
    assert not parser.parse_from_file(str(tmp_path / "m.onnx"))
    assert parser.get_error(0).node_operator() == "Neg"


def test_without_a_device_nothing_is_built(simulated_tensorrt):
    simulated_tensorrt.machine.gpus = 0
    with pytest.raises(TypeError, match="nullptr"):
        simulated_tensorrt.trt.Builder(simulated_tensorrt.trt.ILogger())


@pytest.mark.slow
def test_what_a_gpu_will_be_asked_runs_on_the_simulated_one():
    """So that time on a GPU is not spent on faults of its tests: conformance, kept engines, refusals, every precision."""
    tests = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--confcutdir", str(tests),
               "-m", "slow", str(Path(__file__).parent / "test_on_a_gpu.py")]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tests.parent,
                           env={**os.environ, "PYTHONPATH": str(tests / "fakes" / "simulated")})  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "skipped" not in ended.stdout
