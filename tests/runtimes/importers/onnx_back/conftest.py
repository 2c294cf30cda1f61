"""One small ONNX graph against ONNX Runtime: built, laid out as a torch module, traced, compared."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import ValueInfoProto, checker, helper, numpy_helper, shape_inference

from portside.runtimes.importers.onnx_back.module import export, to_module


def tensor_info(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def model_of(nodes, inputs, outputs, weights=None, opset=18):
    """A model of nodes over named arrays; output types are left to inference."""
    graph = helper.make_graph(
        nodes, "graph", [tensor_info(name, array) for name, array in inputs.items()],
        [ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )  # fmt: skip
    model = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9))
    for value in model.graph.output:  # functions of the standard go without inference; all that are tested keep shape and type
        if not value.type.tensor_type.HasField("shape"):
            value.type.CopyFrom(model.graph.input[0].type)
    return model


def onnxruntime_of(model):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def assert_same(got, want, tolerance):
    """Integers and truth values identical; floats within tolerance of their scale, NaN and infinities in the same places."""
    assert got.dtype == want.dtype and got.shape == want.shape, (got.dtype, want.dtype, got.shape, want.shape)
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    finite = want[np.isfinite(want)]
    scale = max(float(np.abs(finite).max()), 1e-6) if finite.size else 1.0
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


def run_both(model, feed, fixed=None, traced=True):
    """(module, its outputs, ONNX Runtime's); the traced program must answer exactly as the module."""
    module = to_module(model, fixed)
    inputs = [torch.from_numpy(np.array(feed[name])) for name in module.inputs]
    with torch.no_grad():
        got = module(*inputs)
        if traced:
            for eager, program in zip(got, export(module).module()(*inputs), strict=True):
                np.testing.assert_array_equal(eager.numpy(), program.numpy())
    want = onnxruntime_of(model).run(list(module.outputs), feed)
    return module, [value.numpy() for value in got], want


@pytest.fixture
def same():
    """same(op, [inputs], constants={index: array}, ...): the operator answers as ONNX Runtime does.

    An input that is an object array is left out; `valid=False` is for operators that the checker calls deprecated.
    """

    def check(op, inputs, *, constants=None, outputs=1, opset=18, tolerance=1e-5, traced=True, valid=True, **attributes):
        constants = {index: np.asarray(array) for index, array in (constants or {}).items()}
        count = max([len(inputs) + len(constants), *(index + 1 for index in constants)])
        given = iter([np.asarray(array) for array in inputs])
        names, feed, weights = [], {}, {}
        for index in range(count):
            if index in constants:
                weights[f"w{index}"] = constants[index]
                names.append(f"w{index}")
            elif (array := next(given, None)) is not None and array.dtype != object:
                feed[f"x{index}"] = array
                names.append(f"x{index}")
            else:
                names.append("")
        made = [f"y{index}" for index in range(outputs)]
        model = model_of([helper.make_node(op, names, made, name="node", **attributes)], feed, made, weights, opset)
        if valid:
            checker.check_model(model)
        module, got, want = run_both(model, feed, traced=traced)
        for mine, theirs in zip(got, want, strict=True):
            assert_same(mine, theirs, tolerance)
        return module

    return check
