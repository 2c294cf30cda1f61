"""Trees as matrix products: exact decisions, whatever stands in the columns that a tree does not read."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.runtimes.tflite import tree_lowering
from portside.runtimes.tflite.tree_lowering import lower_trees, multiplies
from portside.runtimes.trees import LEAF, Trees
from portside.runtimes.trees_gemm import gemm_floats, laid_out, to_gemm

sys.path.insert(0, str(Path(__file__).parent))
from grown import answers, random_rows, random_trees

ensembles = st.builds(random_trees, seed=st.integers(0, 2**31), trees=st.integers(1, 9), outputs=st.integers(1, 4),
                      targeted=st.booleans(), categories=st.booleans(), aggregate=st.sampled_from(["sum", "mean"]))  # fmt: skip


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_products_equal_the_definition(trees, seed):
    x = random_rows(seed)
    np.testing.assert_allclose(answers(to_gemm(trees), x), trees.evaluate(x), rtol=1e-5, atol=1e-5)


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_every_row_reaches_exactly_one_leaf_of_every_tree(trees, seed):
    model, x = to_gemm(trees), random_rows(seed)
    reached = f"{model.graph.output[0].name}/reached"
    model.graph.output.add(name=reached)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    flags = session.run([reached], {"features": x})[0]
    assert set(np.unique(flags)) <= {0.0, 1.0}
    np.testing.assert_array_equal(flags.sum(axis=2), 1)


def stump(threshold, missing_left=0):
    return Trees(columns=2, aggregate="sum", feature=[0, LEAF, LEAF], threshold=[threshold, 0, 0], left=[1, 0, 1], right=[2, 0, 0],
                 missing_left=[missing_left, 0, 0], bitset=[-1] * 3, bitsets=np.zeros((0, 1), np.uint32), roots=[0], offsets=[0],
                 values=[[-1.0], [1.0]], base=[0.0])  # fmt: skip


@pytest.mark.parametrize("missing_left", [0, 1])
def test_ties_infinities_and_neighbours_of_a_threshold(missing_left):
    threshold = np.float32(0.1)
    values = [threshold, np.nextafter(threshold, np.float32(1)), np.nextafter(threshold, np.float32(-1)), np.inf, -np.inf, np.nan]
    x = np.array([[value, odd] for value in values for odd in (0, np.nan, np.inf, -np.inf)], np.float32)
    trees = stump(threshold, missing_left)
    np.testing.assert_array_equal(answers(to_gemm(trees), x), trees.evaluate(x))


def test_a_tree_that_is_one_leaf():
    trees = Trees(columns=1, aggregate="mean", feature=[LEAF, LEAF], threshold=[0, 0], left=[0, 1], right=[0, 0], missing_left=[0, 0],
                  bitset=[-1, -1], bitsets=np.zeros((0, 1), np.uint32), roots=[0, 1], offsets=[0, 0], values=[[2.0], [4.0]],
                  base=[1.0])  # fmt: skip
    np.testing.assert_array_equal(answers(to_gemm(trees), np.array([[np.nan], [3]], np.float32)), [[4.0], [4.0]])


def test_weights_of_the_product_are_counted_as_they_are_laid_out():
    trees = random_trees(5, categories=False)
    assert gemm_floats(trees) == laid_out(trees).paths.size


def test_small_ensembles_are_multiplied_and_large_ones_gathered(monkeypatch):
    trees = random_trees(11)
    assert multiplies(trees)
    assert not any(node.op_type == "GatherElements" for node in lower_trees(trees, "features", "scores").graph.node)
    monkeypatch.setattr(tree_lowering, "GEMM_FLOATS", gemm_floats(trees) - 1)
    assert any(node.op_type == "GatherElements" for node in lower_trees(trees, "features", "scores").graph.node)


def test_the_estimate_follows_what_was_measured():
    wide, deep = grown(100, 31), grown(100, 128)
    assert multiplies(wide)
    assert not multiplies(deep)


def grown(count, leaves):
    """Trees that split at random until they have so many leaves."""
    rng, held, values, roots = np.random.default_rng(0), {"feature": [], "left": [], "right": []}, [], []
    for _ in range(count):
        roots.append(len(held["feature"]))
        open_ = [add(held)]
        while len(open_) < leaves:
            node = open_.pop(int(rng.integers(len(open_))))
            held["feature"][node], held["left"][node], held["right"][node] = int(rng.integers(4)), add(held), add(held)
            open_ += [held["left"][node], held["right"][node]]
        for node in open_:
            held["left"][node] = len(values)
            values.append([1.0])
    nodes = len(held["feature"])
    return Trees(columns=4, aggregate="sum", threshold=np.zeros(nodes), missing_left=np.zeros(nodes), bitset=np.full(nodes, -1),
                 bitsets=np.zeros((0, 1), np.uint32), roots=roots, offsets=np.zeros(count), values=values, base=[0.0], **held)  # fmt: skip


def add(held):
    for side in held.values():
        side.append(LEAF if side is held["feature"] else 0)
    return len(held["feature"]) - 1


def test_a_leaf_that_is_not_finite_is_never_multiplied():
    infinite = Trees(**{**vars_of(stump(0.5)), "values": [[np.inf], [1.0]]})
    assert not multiplies(infinite)
    x = np.array([[0, 0], [1, 0]], np.float32)
    np.testing.assert_array_equal(answers(lower_trees(infinite, "features", "scores"), x), infinite.evaluate(x))


def vars_of(trees):
    return {"columns": trees.columns, "aggregate": trees.aggregate, **trees.to_tensors()}
