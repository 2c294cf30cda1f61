"""float16, int8-dynamic and int4-weights on graphs by hand: the file is valid, its kernels are the fast ones, weights are stored once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from portside.runtimes.precision.onnx_weights import BLOCK, pack_blocks

WEIGHTS = ("float16", "int8-dynamic", "int4-weights")
BOUND = {"float16": 0.001, "int8-dynamic": 0.02, "int4-weights": 0.15}
KERNELS = {"float16": "MatMul", "int8-dynamic": "DynamicQuantizeMatMul", "int4-weights": "MatMulNBits"}


def product(graphs, depth=48, columns=64, bias=False, transposed=0, rank=2, opset=18):
    inputs = {"x": graphs.draw(*(8, 5, depth)[: rank - 1], depth)}
    weight = graphs.draw(depth, columns, scale=depth**-0.5)
    kind = "Gemm" if transposed or bias else "MatMul"
    places = {"transB": transposed} if kind == "Gemm" else {}
    constants = {"w": np.ascontiguousarray(weight.T) if transposed else weight} | ({"b": graphs.draw(columns)} if bias else {})
    return graphs.model([graphs.op(kind, f"x w {'b' if bias else ''}", "y", **places)], inputs, "y", constants, opset), inputs


@pytest.mark.exact_sums
@pytest.mark.parametrize("precision", WEIGHTS)
@pytest.mark.parametrize(("bias", "transposed", "rank"), [(False, 0, 2), (False, 0, 3), (True, 0, 2), (True, 1, 2), (False, 1, 2)])
def test_products(graphs, lowered, precision, bias, transposed, rank):
    model, inputs = product(graphs, bias=bias, transposed=transposed, rank=rank)
    held = lowered(model, precision, inputs)
    assert held.able == ["y"]
    assert held.error() < BOUND[precision]
    assert held.model.ByteSize() < model.ByteSize() * {"float16": 0.6, "int8-dynamic": 0.4, "int4-weights": 0.35}[precision]
    if precision != "float16":
        assert held.ran[KERNELS[precision]] == 1, held.ran
        assert not (held.ran["Gemm"] or held.ran["MatMul"])


@pytest.mark.exact_sums
@pytest.mark.parametrize("precision", WEIGHTS)
@pytest.mark.parametrize("opset", [13, 14, 17, 18, 20, 21, 23])
def test_every_opset(graphs, lowered, precision, opset):
    model, inputs = product(graphs, opset=opset)
    assert lowered(model, precision, inputs).error() < BOUND[precision]


@pytest.mark.parametrize("depth", [1024, 100, 65, 31])
def test_depths_that_no_block_divides(graphs, lowered, depth):
    model, inputs = product(graphs, depth=depth)
    held = lowered(model, "int4-weights", inputs)
    assert held.error() < BOUND["int4-weights"]
    assert held.ran["MatMulNBits"] == 1


def test_small_products_are_left_alone(graphs, lowered):
    model, inputs = product(graphs, depth=8, columns=8)
    for precision in WEIGHTS:
        assert lowered(model, precision, inputs).able == []


@pytest.mark.parametrize("places", [{"alpha": 0.5}, {"beta": 2.0}, {"transA": 1}])
def test_a_gemm_with_factors_is_no_plain_product(graphs, lowered, places):
    inputs = {"x": graphs.draw(48, 48)}
    node = graphs.op("Gemm", "x w b", "y", **places)
    model = graphs.model([node], inputs, "y", {"w": graphs.draw(48, 64, scale=0.2), "b": graphs.draw(64)})
    for precision in ("int8-static", "int8-dynamic", "int4-weights"):
        assert lowered(model, precision, inputs).able == []
    assert lowered(model, "float16", inputs).error() < 0.001


@pytest.mark.exact_sums
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_value_is_quantized_once_for_all_products_that_read_it(graphs, lowered, per_channel):
    inputs = {"x": graphs.draw(8, 48)}
    nodes = [*(graphs.op("MatMul", f"x w{place}", f"m{place}") for place in range(3)), graphs.op("Sum", "m0 m1 m2", "y")]
    constants = {f"w{place}": graphs.draw(48, 64, seed=place, scale=0.2) for place in range(3)}
    held = lowered(graphs.model(nodes, inputs, "y", constants), "int8-dynamic", inputs, per_channel=per_channel)
    assert held.kinds["DynamicQuantizeLinear"] == 1
    assert held.error() < 0.02


@pytest.mark.exact_sums
@pytest.mark.parametrize("precision", WEIGHTS)
def test_a_weight_that_is_read_twice_is_stored_once(graphs, lowered, precision):
    inputs = {"x": graphs.draw(8, 64), "z": graphs.draw(8, 64, seed=1)}
    nodes = [graphs.op("MatMul", "x w", "a"), graphs.op("MatMul", "z w", "b"), graphs.op("Gemm", "z w", "c", transB=1),
             graphs.op("Sub", "a b", "d"), graphs.op("Sub", "d c", "y")]  # fmt: skip
    model = graphs.model(nodes, inputs, "y", {"w": graphs.draw(64, 64, scale=0.2)})
    held = lowered(model, precision, inputs)
    assert held.error() < BOUND[precision]
    once, stored = 64 * 64, {"float16": np.float16, "int8-dynamic": np.int8, "int4-weights": np.uint8}[precision]
    elements = once // 2 if precision == "int4-weights" else once
    ways = 1 if precision == "float16" else 2  # as it is and turned
    assert elements * ways <= held.stored(stored) <= elements * ways + 2 * 64
    assert held.stored(np.float32) < once


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static", "int4-weights"])
def test_rows_of_an_embedding_have_a_scale_each(graphs, lowered, precision):
    table = graphs.draw(200, 16) * np.float32(10.0) ** np.arange(-4, 4).repeat(25)[:, None].astype(np.float32)
    inputs = {"ids": np.arange(200, dtype=np.int64).reshape(20, 10)}
    held = lowered(graphs.model([graphs.op("Gather", "t ids", "y")], inputs, "y", {"t": table}), precision, inputs)
    apart = np.abs(held.after["y"] - held.before["y"]).reshape(200, 16)
    assert (apart <= np.abs(table).max(axis=1, keepdims=True) / 254 * 1.0001).all()
    assert held.stored(np.int8) == table.size
    assert held.stored(np.float32) == 200


def test_an_embedding_read_twice_is_stored_once(graphs, lowered):
    inputs = {"i": np.arange(8, dtype=np.int64), "j": np.arange(8, 16, dtype=np.int64)}
    nodes = [graphs.op("Gather", "t i", "a"), graphs.op("Gather", "t j", "b"), graphs.op("Sub", "a b", "y")]
    held = lowered(graphs.model(nodes, inputs, "y", {"t": graphs.draw(100, 16)}), "int8-dynamic", inputs)
    assert held.stored(np.int8) == 1600
    assert held.error() < 0.02


@pytest.mark.exact_sums
def test_a_table_that_a_product_reads_too(graphs, lowered):
    """An embedding whose rows are the classes of the last layer."""
    inputs = {"ids": np.arange(8, dtype=np.int64)}
    nodes = [graphs.op("Gather", "t ids", "e"), graphs.op("Gemm", "e t", "y", transB=1)]
    model = graphs.model(nodes, inputs, "y", {"t": graphs.draw(100, 32)})
    for precision in WEIGHTS:
        assert lowered(model, precision, inputs).error() < BOUND[precision]
        assert lowered(model, precision, inputs, only=["e"]).error() < BOUND[precision]


def test_convolutions_are_never_dynamic_and_may_be_half(graphs, lowered):
    inputs = {"x": graphs.draw(2, 8, 9, 9)}
    model = graphs.model([graphs.op("Conv", "x w b", "y")], inputs, "y", {"w": graphs.draw(32, 8, 3, 3, scale=0.1), "b": graphs.draw(32)})
    assert lowered(model, "int8-dynamic", inputs).able == []
    assert lowered(model, "int4-weights", inputs).able == []
    held = lowered(model, "float16", inputs)
    assert held.error() < 0.001
    assert held.ran["Cast"] == 0, "a cast of constants is folded when the file is opened"


def test_what_float16_cannot_hold_is_clipped_and_stays_finite(graphs, lowered):
    inputs = {"x": graphs.draw(4, 48)}
    weight = graphs.draw(48, 64)
    weight[0, 0] = 1e6
    weight[1, 1] = -1e9
    held = lowered(graphs.model([graphs.op("MatMul", "x w", "y")], inputs, "y", {"w": weight}), "float16", inputs)
    assert np.isfinite(held.after["y"]).all()


@pytest.mark.exact_sums
def test_rows_of_zeros_and_of_one_constant(graphs, lowered):
    inputs = {"x": np.stack([np.zeros(48), np.ones(48), -np.ones(48)]).astype(np.float32)}
    for rows in ([0], [1], [2], [0, 1, 2]):
        for precision in ("int8-dynamic", "int4-weights"):
            model, _ = product(graphs)
            held = lowered(model, precision, {"x": inputs["x"][rows]})
            np.testing.assert_allclose(held.after["y"], held.before["y"], atol=BOUND[precision] * 3)


@pytest.mark.exact_sums
@pytest.mark.parametrize("precision", WEIGHTS)
def test_names_that_are_taken(graphs, lowered, precision):
    taken = ["x.int8", "x.scale", "w.int8", "w.scale", "w.zero", "w.int4", "w.float16", "w.wide", "y.product", "y.int32", "y.factor"]
    inputs = {"x": graphs.draw(8, 48)}
    nodes = [*(graphs.op("Neg", "x" if not place else taken[place - 1], name) for place, name in enumerate(taken)),
             graphs.op("Abs", taken[-1], "positive"), graphs.op("Gemm", "x w b", "y"), graphs.op("MatMul", "positive w", "z")]  # fmt: skip
    model = graphs.model(nodes, inputs, "y z", {"w": graphs.draw(48, 64, scale=0.2), "b": graphs.draw(64)})
    held = lowered(model, precision, inputs)
    assert max(held.error("y"), held.error("z")) < BOUND[precision]


@pytest.mark.exact_sums
def test_a_weight_that_a_float_node_reads_too_stays(graphs, lowered):
    inputs = {"x": graphs.draw(8, 48)}
    nodes = [graphs.op("MatMul", "x w", "m"), graphs.op("ReduceSum", "w", "s", keepdims=0), graphs.op("Add", "m s", "y")]
    model = graphs.model(nodes, inputs, "y", {"w": graphs.draw(48, 64, scale=0.2)})
    for precision in WEIGHTS:
        held = lowered(model, precision, inputs)
        assert held.error() < BOUND[precision]
        assert held.stored(np.float32) >= 48 * 64


def test_the_domain_of_the_kernels_is_imported_once(graphs, lowered):
    model, inputs = product(graphs)
    held = lowered(model, "int4-weights", inputs)
    assert [(held.domain, held.version) for held in held.model.opset_import] == [("", 18), ("com.microsoft", 1)]
    assert len(lowered(model, "int8-dynamic", inputs).model.opset_import) == 1


@given(arrays(np.float32, st.tuples(st.integers(1, 80), st.integers(1, 4)), elements=st.floats(-1000, 1000, width=32)))
def test_blocks_are_within_half_a_step(weight):
    packed, scale = pack_blocks(weight)
    depth, columns = weight.shape
    blocks = -(-depth // BLOCK)
    assert packed.shape == (columns, blocks, BLOCK // 2)
    assert scale.shape == (columns * blocks,)
    codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(columns, blocks, BLOCK).astype(np.int32)
    back = ((codes - 8) * scale.reshape(columns, blocks, 1)).reshape(columns, -1)[:, :depth].T
    step = np.repeat(np.abs(scale).reshape(columns, blocks), BLOCK, axis=1)[:, :depth].T
    largest = np.abs(weight).max(initial=0)
    assert (np.abs(back - weight) <= step * 1.0001 + 1e-6 * largest).all()  # one step where the opposite end is cut, half elsewhere
    inside = np.abs(back - weight) <= step * 0.5001 + 1e-6 * largest
    opposite = codes.reshape(columns, -1)[:, :depth].T == 15
    assert (inside | opposite).all()
