"""Calls of an engine on a simulated device: buffers, shapes, threads, faults, and nothing left behind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.base import Cancel
from portside.runtimes.tensorrt import context as contexts
from portside.runtimes.tensorrt.binding import bindings, logger_of
from portside.runtimes.tensorrt.building import Refused, Settings, build
from portside.runtimes.tensorrt.context import Context
from portside.runtimes.tensorrt.engine import CONTEXTS, TensorRTEngine
from portside.runtimes.tensorrt.rim import Rim, Slot
from portside.sdk.core.errors import EngineError, FormatError, InputError

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)
RIM = Rim((Slot("x", "float32", ("batch", 4)),), (Slot("y", "float32", ("batch", 3)),), {"batch": (2, 4, 8)}, "batch")


def graph(nodes, inputs, outputs, constants=None):
    values = [[helper.make_tensor_value_info(slot.name, helper.np_dtype_to_tensor_dtype(np.dtype(slot.dtype)), slot.shape) for slot in side]
              for side in (inputs, outputs)]  # fmt: skip
    tensors = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    made = helper.make_graph(nodes, "g", *values, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def opened(simulated_tensorrt, tmp_path):
    """(nodes, rim, constants) -> an engine on the simulated device; every one is closed, and then nothing may be left on it."""
    held, engines = bindings(), []

    def make(nodes, rim, constants=None):
        (tmp_path / "model.onnx").write_bytes(graph(nodes, rim.inputs, rim.outputs, constants).SerializeToString())
        plan = build(held.trt, str(tmp_path / "model.onnx"), rim.profile, Settings()).plan
        runtime = held.trt.Runtime(logger_of(held.trt, lambda words: None))
        engines.append(TensorRTEngine(held, runtime.deserialize_cuda_engine(plan), rim))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
    machine = simulated_tensorrt.machine
    assert machine.lost or not (machine.memory or machine.host or machine.streams)


@pytest.fixture
def product(opened):
    """x @ WEIGHT in batches of 2 to 8."""
    return opened([helper.make_node("MatMul", ["x", "w"], ["y"])], RIM, {"w": WEIGHT})


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 8, 9, 31])
def test_any_number_of_rows_is_cut_and_padded_to_the_profile(product, rows):
    x = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
    (y,) = product.run(["y"], {"x": x})
    assert y.dtype == np.float32 and np.allclose(y, x @ WEIGHT, atol=1e-5)


def test_buffers_are_kept_and_grow(product, simulated_tensorrt):
    machine = simulated_tensorrt.machine
    product.run(["y"], {"x": np.ones((2, 4), np.float32)})
    made = machine.calls.count("cudaMalloc")
    for _ in range(3):
        product.run(["y"], {"x": np.ones((2, 4), np.float32)})
    assert machine.calls.count("cudaMalloc") == made == 2
    assert machine.calls.count("cudaStreamSynchronize") == 4  # one wait a call


def test_a_view_of_any_layout_is_copied_in_its_own_order(product):
    x = np.arange(32, dtype=np.float32).reshape(4, 8)
    for form in (x.T[:, :4], x[:, ::2], np.asfortranarray(x[:, :4])):
        assert np.allclose(product.run(["y"], {"x": form})[0], form @ WEIGHT)


def test_threads_have_contexts_of_their_own(product):
    batches = [np.full((rows, 4), rows, np.float32) for rows in range(1, 9)] * 4
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda x: product.run(["y"], {"x": x})[0], batches))
    assert all(np.allclose(y, x @ WEIGHT) for x, y in zip(batches, made, strict=True))


def test_another_dtype_is_refused_not_reinterpreted(product):
    with pytest.raises(EngineError, match=r"another dtype.*x float64.*float32"):
        product.run(["y"], {"x": np.ones((2, 4))})


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaMallocHost", "cudaMemcpyAsync", "cudaStreamSynchronize"])
def test_a_call_that_fails_is_an_error_and_the_next_one_answers(product, simulated_tensorrt, call):
    machine, x = simulated_tensorrt.machine, np.ones((3, 4), np.float32)
    machine.fails[call] = (simulated_tensorrt.cuda.cudaError_t.cudaErrorMemoryAllocation, 1)
    with pytest.raises(EngineError, match=rf"CUDA failed in {call}: out of memory.*cudaErrorMemoryAllocation.*nvidia-smi"):
        product.run(["y"], {"x": x})
    assert np.allclose(product.run(["y"], {"x": x})[0], x @ WEIGHT)


def _raise(words):
    raise RuntimeError(words)


@pytest.mark.parametrize(("method", "does", "words"), [
    ("set_input_shape", lambda self, name, shape: False, r"does not take the shape of an input.*x \(3, 4\)"),
    ("infer_shapes", lambda self: _raise("host shape tensor"), r"cannot tell the shapes of the outputs: host shape tensor"),
    ("infer_shapes", lambda self: ["x"], r"was not told enough about an input.*x"),
    ("set_tensor_address", lambda self, name, memory: False, r"does not take the place of a tensor.*x"),
])  # fmt: skip
def test_what_a_context_refuses_is_an_error_and_the_next_call_answers(opened, simulated_tensorrt, monkeypatch, method, does, words):
    engine, x = opened([helper.make_node("MatMul", ["x", "w"], ["y"])], RIM, {"w": WEIGHT}), np.ones((3, 4), np.float32)
    with monkeypatch.context() as patched, pytest.raises(EngineError, match=words):
        patched.setattr(simulated_tensorrt.trt.IExecutionContext, method, does)
        engine.run(["y"], {"x": x})
    assert np.allclose(engine.run(["y"], {"x": x})[0], x @ WEIGHT)


def test_a_device_without_room_for_a_context_says_so(opened, simulated_tensorrt, monkeypatch):
    monkeypatch.setattr(simulated_tensorrt.trt.ICudaEngine, "create_execution_context", lambda self, strategy=None: None)
    with pytest.raises(EngineError, match=r"cannot make an execution context.*nvidia-smi"):
        opened([helper.make_node("MatMul", ["x", "w"], ["y"])], RIM, {"w": WEIGHT})


def test_a_call_that_is_interrupted_gives_its_context_up(product, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Context, "run", _interrupt)
        product.run(["y"], {"x": np.ones((3, 4), np.float32)})
    assert product.run(["y"], {"x": np.ones((3, 4), np.float32)})[0].shape == (3, 3)


def _interrupt(self, feeds):
    raise KeyboardInterrupt


def test_an_input_without_rows_goes_with_every_piece(opened):
    rim = Rim((Slot("x", "float32", ("batch", 2)), Slot("factor", "float32", (1,))), (Slot("y", "float32", ("batch", 2)),),
              {"batch": (1, 2, 4)}, "batch")  # fmt: skip
    engine = opened([helper.make_node("Mul", ["x", "factor"], ["y"])], rim)
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    assert np.array_equal(engine.run(["y"], {"x": x, "factor": np.array([3.0], np.float32)})[0], 3 * x)


def test_of_many_shapes_the_last_are_remembered(product, monkeypatch):
    monkeypatch.setattr(contexts, "MOST_CALLS", 2)
    for rows in (2, 3, 4, 5, 3):
        x = np.full((rows, 4), rows, np.float32)
        assert np.allclose(product.run(["y"], {"x": x})[0], x @ WEIGHT)


def test_an_enqueue_that_fails_is_an_error_and_the_next_one_answers(product, simulated_tensorrt):
    simulated_tensorrt.machine.fails["execute_async_v3"] = (1, 1)
    with pytest.raises(EngineError, match="could not enqueue"):
        product.run(["y"], {"x": np.ones((2, 4), np.float32)})
    simulated_tensorrt.machine.fails.clear()
    assert product.run(["y"], {"x": np.ones((2, 4), np.float32)})[0].shape == (2, 3)


def test_a_device_that_is_lost_stays_an_error_in_every_thread(product, simulated_tensorrt):
    simulated_tensorrt.machine.lost = True
    for _ in range(CONTEXTS + 2):
        with pytest.raises(EngineError, match="illegal memory access"):
            product.run(["y"], {"x": np.ones((2, 4), np.float32)})


def test_a_cancelled_call_stops_between_two_pieces(product, simulated_tensorrt, monkeypatch):
    cancel, machine = Cancel(), simulated_tensorrt.machine
    context = simulated_tensorrt.trt.IExecutionContext
    enqueue = context.execute_async_v3
    monkeypatch.setattr(context, "execute_async_v3", lambda self, stream_handle: cancel.cancel() or enqueue(self, stream_handle))
    with pytest.raises(EngineError) as raised:
        product.run(["y"], {"x": np.ones((80, 4), np.float32)}, cancel)
    assert raised.value.reason == "cancelled" and machine.calls.count("execute_async_v3") == 1
    assert len(product.run(["y"], {"x": np.ones((3, 4), np.float32)}, Cancel())[0]) == 3


def test_a_closed_engine_refuses_and_frees_what_is_still_borrowed(product):
    entered, go = threading.Event(), threading.Event()
    take = product._pool.take
    product._pool.take = lambda: (take(), entered.set(), go.wait(10))[0]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(product.run, ["y"], {"x": np.ones((2, 4), np.float32)})
        assert entered.wait(10)
        product.close()
        go.set()
        assert late.result()[0].shape == (2, 3)
    product._pool.take = take
    with pytest.raises(EngineError, match="closed"):
        product.run(["y"], {"x": np.ones((2, 4), np.float32)})


def test_an_output_whose_size_the_data_decides(opened):
    rim = Rim((Slot("x", "float32", ("n",)),), (Slot("where", "int64", (1, "found")), Slot("twice", "float32", ("n",))), {"n": (1, 4, 99)})
    engine = opened([helper.make_node("NonZero", ["x"], ["where"]), helper.make_node("Add", ["x", "x"], ["twice"])], rim)
    for values in ([0, 1, 0, 2], [0, 0, 0], list(range(50))):
        x = np.array(values, np.float32)
        where, twice = engine.run(["where", "twice"], {"x": x})
        assert where[0].tolist() == np.flatnonzero(x).tolist() and np.array_equal(twice, 2 * x)


def test_a_tensor_that_belongs_on_the_host_is_read_there(opened, simulated_tensorrt):
    rim = Rim((Slot("x", "float32", (6,)), Slot("host_shape", "int64", (2,))), (Slot("y", "float32", ("a", "b")),))
    engine = opened([helper.make_node("Reshape", ["x", "host_shape"], ["y"])], rim)
    x = np.arange(6, dtype=np.float32)
    assert np.array_equal(engine.run(["y"], {"x": x, "host_shape": np.array([2, 3])})[0], x.reshape(2, 3))
    assert np.array_equal(engine.run(["y"], {"x": x, "host_shape": np.array([3, 2])})[0], x.reshape(3, 2))


def test_numbers_without_axes_and_bytes_and_flags(opened):
    rim = Rim((Slot("n", "int32", ()), Slot("on", "bool", (2,)), Slot("raw", "uint8", (2,))),
              (Slot("more", "int32", ()), Slot("off", "bool", (2,)), Slot("same", "float32", (2,))))  # fmt: skip
    nodes = [helper.make_node("Add", ["n", "n"], ["more"]), helper.make_node("Not", ["on"], ["off"]),
             helper.make_node("Cast", ["raw"], ["same"], to=TensorProto.FLOAT)]  # fmt: skip
    engine = opened(nodes, rim)
    feeds = {"n": np.array(3, np.int32), "on": np.array([True, False]), "raw": np.array([7, 255], np.uint8)}
    more, off, same = engine.run(["more", "off", "same"], feeds)
    assert more.shape == () and more == 6 and off.tolist() == [False, True] and same.tolist() == [7.0, 255.0]


def test_an_engine_of_other_tensors_is_refused(opened):
    odd = Rim(RIM.inputs, (Slot("y", "int32", ("batch", 3)),), RIM.ranges, "batch")
    with pytest.raises(FormatError, match="another dtype"):
        opened_as(opened, odd)
    with pytest.raises(FormatError, match=r"other tensors.*y.*z"):
        opened_as(opened, Rim(RIM.inputs, (Slot("z", "float32", ("batch", 3)),), RIM.ranges, "batch"))


def opened_as(opened, rim):
    """The product's engine under another description."""
    held = bindings()
    opened([helper.make_node("MatMul", ["x", "w"], ["y"])], RIM, {"w": WEIGHT})
    engine = opened.__closure__ and next(cell.cell_contents for cell in opened.__closure__ if isinstance(cell.cell_contents, list))[-1]
    return TensorRTEngine(held, next(c for c in _cells(engine) if hasattr(c, "create_execution_context")), rim)


def _cells(engine):
    return [cell.cell_contents for cell in engine._pool._make.__closure__]


def test_a_size_beyond_the_profile_is_the_callers_fault(opened):
    rim = Rim((Slot("x", "float32", ("batch", "width")),), (Slot("y", "float32", ("batch", "width")),),
              {"batch": (1, 2, 4), "width": (1, 8, 16)}, "batch")  # fmt: skip
    engine = opened([helper.make_node("Neg", ["x"], ["y"])], rim)
    with pytest.raises(InputError, match=r"'width'.*17.*1 to 16"):
        engine.run(["y"], {"x": np.ones((2, 17), np.float32)})


def test_a_profile_that_does_not_fit_is_refused(simulated_tensorrt, tmp_path):
    (tmp_path / "model.onnx").write_bytes(
        graph([helper.make_node("MatMul", ["x", "w"], ["y"])], RIM.inputs, RIM.outputs, {"w": WEIGHT}).SerializeToString()
    )
    trt = simulated_tensorrt.trt
    with pytest.raises(Refused, match="profile"):
        build(trt, str(tmp_path / "model.onnx"), {"x": ((4, 4), (2, 4), (8, 4))}, Settings())
    with pytest.raises(Refused, match=r"build: no optimization profile for x|build: .*no optimization profile"):
        build(trt, str(tmp_path / "model.onnx"), {}, Settings())
    (tmp_path / "refused.onnx").write_bytes(graph([helper.make_node("Neg", ["x"], ["y"], name="negated")],
                                                  *((Slot(name, "uint8", (4,)),) for name in "xy")).SerializeToString())  # fmt: skip
    with pytest.raises(Refused, match=r"parse: Neg 'negated': first input has type UInt8"):
        build(trt, str(tmp_path / "refused.onnx"), {}, Settings())
    simulated_tensorrt.machine.gpus = 0
    with pytest.raises(Refused, match="start"):
        build(trt, str(tmp_path / "model.onnx"), RIM.profile, Settings())
