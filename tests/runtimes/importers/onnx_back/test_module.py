"""The graph as a whole: what folds, what is refused and named, branches, functions, and real models packed and taken back."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.importers.onnx_back.module import export, to_module
from portside.sdk.core.errors import InputError, UnsupportedError


def model_of(nodes, inputs, outputs, weights=None, opset=18, functions=()):
    """A model; inputs and outputs are name -> (element type, shape)."""
    infos = [[helper.make_tensor_value_info(name, *kind) for name, kind in side.items()] for side in (inputs, outputs)]
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", *infos, held)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(f.domain, 1) for f in functions)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9, functions=list(functions))


FLOATS = (TensorProto.FLOAT, ["batch", 3])


def test_every_unknown_node_is_named_at_once():
    nodes = [
        helper.make_node("NonMaxSuppression", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["x"], ["b"], name="known"),
        helper.make_node("Frobnicate", ["b"], ["y"], name="second", domain="com.example"),
        helper.make_node("StringNormalizer", ["b"], ["z"]),
    ]
    with pytest.raises(
        UnsupportedError, match=r"NonMaxSuppression \(first\), com.example:Frobnicate \(second\), StringNormalizer \(z\)"
    ) as refusal:
        to_module(model_of(nodes, {"x": FLOATS}, {"y": FLOATS}), {"batch": 2})
    assert "Relu (known)" not in str(refusal.value)


def test_open_dimensions_are_named():
    with pytest.raises(UnsupportedError, match=r"x\[0\] batch"):
        to_module(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": FLOATS}, {"y": FLOATS}))


def test_empty_inputs_are_refused():
    with pytest.raises(UnsupportedError, match="size 0"):
        to_module(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": FLOATS}, {"y": FLOATS}), {"batch": 0})


def test_empty_values_are_refused():
    nodes = [helper.make_node("Slice", ["x", "from", "to"], ["a"], name="cut"), helper.make_node("Relu", ["a"], ["y"])]
    bounds = {"from": np.array([2]), "to": np.array([1])}
    with pytest.raises(UnsupportedError, match=r"Slice \(cut\) makes an empty tensor"):
        to_module(model_of(nodes, {"x": FLOATS}, {"y": FLOATS}, bounds), {"batch": 4})


def test_other_shapes_are_refused():
    module = to_module(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": FLOATS}, {"y": FLOATS}), {"batch": 2})
    with pytest.raises(InputError, match="other shapes"):
        module(torch.zeros(3, 3))


def test_shape_arithmetic_leaves_nothing_behind():
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "axes"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    weights = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([3, 4])}
    module = to_module(
        model_of(nodes, {"x": (TensorProto.FLOAT, ["batch", 12])}, {"y": (TensorProto.FLOAT, [None, 3, 4])}, weights), {"batch": 5}
    )
    program = export(module)
    assert [str(node.target) for node in program.graph.nodes if node.op == "call_function"] == ["aten.reshape.default"]
    assert not program.state_dict and not list(module.buffers())
    assert program.module()(torch.zeros(5, 12))[0].shape == (5, 3, 4)


def test_a_shape_that_hangs_on_the_data_is_refused():
    nodes = [helper.make_node("Reshape", ["x", "target"], ["y"], name="free")]
    inputs = {"x": FLOATS, "target": (TensorProto.INT64, [1])}
    with pytest.raises(UnsupportedError, match=r"Reshape \(free\).*depends on the data"):
        to_module(model_of(nodes, inputs, {"y": (TensorProto.FLOAT, [None])}), {"batch": 2})


def test_outputs_may_be_inputs_and_constants():
    nodes = [helper.make_node("Identity", ["w"], ["z"]), helper.make_node("Identity", ["x"], ["y"])]
    model = model_of(
        nodes, {"x": FLOATS}, {"y": FLOATS, "z": (TensorProto.FLOAT, [2]), "w": (TensorProto.FLOAT, [2])}, {"w": np.float32([1, 2])}
    )
    y, z, w = export(to_module(model, {"batch": 1})).module()(torch.ones(1, 3))
    assert y.tolist() == [[1, 1, 1]] and z.tolist() == w.tolist() == [1, 2]


def test_equal_weights_are_one_buffer():
    nodes = [helper.make_node("Mul", ["x", "a"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    weights = {"a": np.float32([1, 2, 3]), "b": np.float32([1, 2, 3])}
    assert len(list(to_module(model_of(nodes, {"x": FLOATS}, {"y": FLOATS}, weights), {"batch": 1}).buffers())) == 1


def branch(name, op, result):
    return helper.make_graph([helper.make_node(op, ["x"], [result])], name, [], [helper.make_tensor_value_info(result, *FLOATS)])


def choosing(condition, then="Relu", other="Neg"):
    nodes = [
        helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branch("then", then, "r"), else_branch=branch("else", other, "r"))
    ]
    inputs = {"x": FLOATS} if condition is not None else {"x": FLOATS, "c": (TensorProto.BOOL, [1])}
    return model_of(nodes, inputs, {"y": FLOATS}, {} if condition is None else {"c": np.array([condition])})


@pytest.mark.parametrize("condition", [True, False])
def test_a_constant_condition_picks_its_branch(condition):
    module = to_module(choosing(condition), {"batch": 1})
    x = torch.tensor([[-1.0, 0.0, 2.0]])
    assert torch.equal(module(x)[0], torch.relu(x) if condition else -x)
    assert len(module.steps) == 2


def test_the_branch_that_is_not_taken_may_hold_anything():
    to_module(choosing(True, other="Frobnicate"), {"batch": 1})
    with pytest.raises(UnsupportedError, match="Frobnicate"):
        to_module(choosing(False, other="Frobnicate"), {"batch": 1})


def test_a_condition_in_the_data_runs_both():
    module = to_module(choosing(None), {"batch": 1})
    x = torch.tensor([[-1.0, 0.0, 2.0]])
    program = export(module).module()
    for run in (module, program):
        assert torch.equal(run(x, torch.tensor([True]))[0], torch.relu(x))
        assert torch.equal(run(x, torch.tensor([False]))[0], -x)


def test_a_branch_that_the_dimensions_forbid_answers_nan():
    module = to_module(choosing(None, other="Det"), {"batch": 1})
    x = torch.ones(1, 3)
    assert torch.equal(module(x, torch.tensor([True]))[0], x)
    assert torch.isnan(module(x, torch.tensor([False]))[0]).all()
    assert "else_branch of If (choice)" in module.notes[0]


def test_functions_of_the_model_are_inlined():
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    model = model_of([helper.make_node("Twice", ["x"], ["y"], domain="mine")], {"x": FLOATS}, {"y": FLOATS}, functions=[function])
    assert to_module(model, {"batch": 1})(torch.ones(1, 3))[0].tolist() == [[2, 2, 2]]


def test_a_loop_is_refused_by_name():
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Relu", ["v"], ["w"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []),
         helper.make_tensor_value_info("v", *FLOATS)],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("w", *FLOATS)],
    )  # fmt: skip
    nodes = [helper.make_node("Loop", ["n", "c0", "x"], ["y"], name="again", body=body)]
    with pytest.raises(UnsupportedError, match=r"Loop \(again\)"):
        to_module(model_of(nodes, {"x": FLOATS}, {"y": FLOATS}, {"n": np.array(3), "c0": np.array(True)}), {"batch": 1})


def test_whole_division_is_laid_out_although_zeros_divide_by_zero():
    whole = (TensorProto.INT64, ["batch"])
    module = to_module(model_of([helper.make_node("Div", ["x", "x2"], ["y"])], {"x": whole, "x2": whole}, {"y": whole}), {"batch": 2})
    assert module(torch.tensor([-7, 7]), torch.tensor([2, -2]))[0].tolist() == [-3, -3]
