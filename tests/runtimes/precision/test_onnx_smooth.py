"""Smoothing: in float nothing changes, in int8 less is lost; what folds folds, and what others read keeps its numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.runtimes.precision.onnx_lower import graph_of, lower, smoothed
from portside.runtimes.precision.onnx_nodes import candidates
from portside.runtimes.precision.onnx_smooth import factors_of, smooth
from portside.sdk.core.plan import OCTAVE, PrecisionPlan

WIDE = 64
STEPS = (np.arange(WIDE) % 49 - 24).tolist()
"""Exponents from an eighth to eight."""


def smooth_all(model, values, steps=STEPS, fixed=()):
    graph = graph_of(model, {})
    made, how = smooth(graph, dict.fromkeys(values, steps), set(candidates(graph, "int8-dynamic")), fixed)
    onnx.checker.check_model(made, full_check=True)
    return made, how


def same(graphs, model, made, inputs):
    for name, value in graphs.run(model, inputs).items():
        np.testing.assert_allclose(graphs.run(made, inputs)[name], value, rtol=2e-4, atol=2e-4 * np.abs(value).max())


def kinds(model):
    return [node.op_type for node in model.graph.node]


def before(graphs, kind):
    """(nodes that make v from x, constants)."""
    nodes = {
        "LayerNormalization": [graphs.op("LayerNormalization", "x g b", "v", axis=-1)],
        "a norm of single operators": [graphs.op("ReduceMean", "x axes", "m"), graphs.op("Sub", "x m", "c"), graphs.op("Mul", "g c", "s"),
                                       graphs.op("Add", "s b", "v")],
        "MatMul": [graphs.op("MatMul", "x p", "m"), graphs.op("Add", "b m", "v")],
        "Relu": [graphs.op("MatMul", "x p", "m"), graphs.op("Relu", "m", "v")],
        "Gemm": [graphs.op("Gemm", "x p b", "v")],
        "Gemm turned": [graphs.op("Gemm", "x p", "v", transB=1)],
    }  # fmt: skip
    return nodes[kind], {"g": graphs.draw(WIDE, seed=5) + 2, "b": graphs.draw(WIDE, seed=6), "axes": np.array([-1]),
                         "p": graphs.draw(WIDE, WIDE, seed=7, scale=0.2)}  # fmt: skip


def built(graphs, kind, after, outputs="y"):
    nodes, constants = before(graphs, kind)
    constants["w"], constants["u"] = graphs.draw(WIDE, 32, scale=0.2), graphs.draw(WIDE, WIDE, seed=3, scale=0.2)
    used = {name for node in (*nodes, *after) for name in node.input}
    inputs = {"x": graphs.draw(9, WIDE)}
    return graphs.model([*nodes, *after], inputs, outputs, {name: held for name, held in constants.items() if name in used}), inputs


FOLDING = ["LayerNormalization", "a norm of single operators", "MatMul", "Relu", "Gemm", "Gemm turned"]


@pytest.mark.parametrize("kind", FOLDING)
def test_what_only_products_read_is_folded(graphs, kind):
    model, inputs = built(graphs, kind, [graphs.op("MatMul", "v w", "y"), graphs.op("MatMul", "v u", "z")], "y z")
    made, how = smooth_all(model, ["v"])
    assert how == {"v": "folded"}
    assert kinds(made) == kinds(model)
    same(graphs, model, made, inputs)


@pytest.mark.parametrize("kind", FOLDING)
def test_a_residual_branch_keeps_its_numbers(graphs, kind):
    model, inputs = built(graphs, kind, [graphs.op("MatMul", "v u", "r"), graphs.op("Add", "r v", "y")])
    made, how = smooth_all(model, ["v"])
    assert how == {"v": "scaled"}
    assert sorted(kinds(made)) == sorted([*kinds(model), "Mul"])
    same(graphs, model, made, inputs)


def test_what_is_read_from_outside_keeps_its_numbers(graphs):
    model, inputs = built(graphs, "LayerNormalization", [graphs.op("MatMul", "v w", "y")], "y v")
    assert smooth_all(model, ["v"])[1] == {"v": "scaled"}
    model, inputs = built(graphs, "LayerNormalization", [graphs.op("MatMul", "v w", "y")])
    assert smooth_all(model, ["v"], fixed={"v"})[1] == {"v": "scaled"}
    model, inputs = built(graphs, "MatMul", [graphs.op("MatMul", "v w", "y")], "y m")
    made, how = smooth_all(model, ["v"])
    assert how == {"v": "scaled"}
    same(graphs, model, made, inputs)


def test_an_input_of_the_graph_is_scaled(graphs):
    inputs = {"x": graphs.draw(9, WIDE)}
    model = graphs.model([graphs.op("Gemm", "x w", "y", transB=1)], inputs, "y", {"w": graphs.draw(32, WIDE, scale=0.2)})
    made, how = smooth_all(model, ["x"])
    assert how == {"x": "scaled"}
    same(graphs, model, made, inputs)


def test_two_values_in_a_row(graphs):
    """The weight between them is multiplied along its rows for one and along its columns for the other."""
    model, inputs = built(graphs, "LayerNormalization", [graphs.op("MatMul", "v u", "t"), graphs.op("MatMul", "t w", "y")])
    made, how = smooth_all(model, ["v", "t"])
    assert how == {"v": "folded", "t": "folded"}
    same(graphs, model, made, inputs)
    assert smooth_all(model, ["t", "v"])[1] == how


def test_constants_that_others_read_too_are_left_to_them(graphs):
    after = [graphs.op("MatMul", "v w", "y"), graphs.op("LayerNormalization", "x g b", "o", axis=-1), graphs.op("MatMul", "o w", "z")]
    model, inputs = built(graphs, "LayerNormalization", after, "y z")
    made, how = smooth_all(model, ["v"])
    assert how == {"v": "folded"}
    same(graphs, model, made, inputs)


def test_a_weight_that_two_products_read_is_stored_once(graphs):
    after = [graphs.op("MatMul", "v u", "a"), graphs.op("MatMul", "v u", "c"), graphs.op("Sub", "a c", "y")]
    made, _ = smooth_all(built(graphs, "LayerNormalization", after)[0], ["v"])
    assert sum(tensor.dims == [WIDE, WIDE] for tensor in made.graph.initializer) == 1


@pytest.mark.parametrize(("values", "steps"), [(["nothing"], STEPS), (["v"], STEPS[:-1]), (["x"], STEPS)])
def test_what_does_not_fit_is_left_out(graphs, values, steps):
    model, _ = built(graphs, "LayerNormalization", [graphs.op("MatMul", "v w", "y")])
    made, how = smooth_all(model, values, steps)
    assert how == {}
    assert made is model


def test_factors():
    np.testing.assert_array_equal(factors_of([0, OCTAVE, -OCTAVE, 3 * OCTAVE]), np.array([1, 2, 0.5, 8], np.float32))


@pytest.mark.exact_sums
def test_int8_loses_less_where_a_few_channels_are_large(graphs):
    model, inputs = built(graphs, "LayerNormalization", [graphs.op("MatMul", "v u", "r"), graphs.op("Add", "r v", "y")])
    loud = np.where(np.arange(WIDE) == 7, 50, 1).astype(np.float32)
    for tensor in model.graph.initializer:
        by = {"g": loud, "b": loud, "u": 1 / loud[:, None]}[tensor.name]
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * by, tensor.name))
    steps = tuple(np.rint(OCTAVE * np.log2(loud)).astype(int).tolist())
    truth = graphs.run(model, inputs)["y"]
    error = {}
    for name, smoothing in {"plain": {}, "smoothed": {"v": steps}}.items():
        made, _ = lower(model, PrecisionPlan({"r": "int8-dynamic"}, smoothing=smoothing), {})
        error[name] = np.sqrt(np.mean((graphs.run(made, inputs)["y"] - truth) ** 2))
    assert error["smoothed"] < error["plain"] / 5


def test_only_products_of_the_class_are_smoothed(graphs):
    model, inputs = built(graphs, "LayerNormalization", [graphs.op("MatMul", "v u", "a"), graphs.op("MatMul", "v w", "y")], "y a")
    made, how = smoothed(model, PrecisionPlan({"a": "int8-dynamic"}, smoothing={"v": tuple(STEPS)}), {})
    assert how == {"v": "scaled"}, "y reads it too, as it is"
    same(graphs, model, made, inputs)
    for nodes in ({"a": "float16"}, {"a": "int8-static"}, {}):
        assert smoothed(model, PrecisionPlan(nodes, smoothing={"v": tuple(STEPS)}), {})[1] == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.booleans(), st.booleans(), st.integers(1, 2))
def test_a_transformer_answers_as_before(graphs, seed, post, primitive, layers):
    """Norms before or behind the residual sums, attention with two heads, gated or not: every product's input is smoothed."""
    draw = np.random.default_rng(seed)
    nodes, constants, inputs = [], {"heads": np.array([0, 0, 2, 16]), "flat": np.array([0, 0, 32])}, {"x": graphs.draw(2, 5, 32, seed=seed)}

    def add(kind, given, **places):
        name = f"n{len(nodes)}"
        nodes.append(graphs.op(kind, given, name, **places))
        return name

    def weight(*shape):
        name = f"c{len(constants)}"
        constants[name] = (draw.normal(size=shape) * shape[0] ** -0.5).astype(np.float32)
        return name

    def norm(value):
        scale, bias = weight(32), weight(32)
        if not primitive:
            return add("LayerNormalization", f"{value} {scale} {bias}", axis=-1)
        scaled = add("Mul", f"{add('Tanh', value)} {scale}")
        return add("Add", f"{bias} {scaled}")

    def linear(value, wide, to):
        return add("Add", f"{add('MatMul', f'{value} {weight(wide, to)}')} {weight(to)}")

    def heads(value, places):
        return add("Transpose", add("Reshape", f"{value} heads"), perm=places)

    def attention(value):
        q, k, v = (heads(linear(value, 32, 32), places) for places in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        mixed = add("MatMul", f"{add('Softmax', add('MatMul', f'{q} {k}'))} {v}")
        return linear(add("Reshape", f"{add('Transpose', mixed, perm=[0, 2, 1, 3])} flat"), 32, 32)

    held = "x"
    for _ in range(layers):
        for block in (attention, lambda value: linear(add("Sigmoid", linear(value, 32, 64)), 64, 32)):
            held = norm(add("Add", f"{block(held)} {held}")) if post else add("Add", f"{block(norm(held))} {held}")
    nodes.append(graphs.op("Identity", held, "y"))
    model = graphs.model(nodes, inputs, "y", constants)
    graph = graph_of(model, {})
    products = candidates(graph, "int8-dynamic")
    values = {graph.named[name].input[0]: graph.held(graph.named[name]).shape[0] for name in products}
    smoothing = {name: tuple(draw.integers(-24, 25, size).tolist()) for name, size in values.items()}
    made, how = smoothed(model, PrecisionPlan(dict.fromkeys(products, "int8-dynamic"), smoothing=smoothing), {})
    assert set(how) == set(values)
    assert ("folded" in how.values()) is not post
    assert kinds(made).count("Mul") == kinds(model).count("Mul") + list(how.values()).count("scaled")
    same(graphs, model, made, inputs)
