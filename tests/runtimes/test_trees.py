"""The tree IR: its definition in numpy against a plain walk, both lowerings against the definition, refusals."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.runtimes.tree_stage import read_trees
from portside.runtimes.trees import LEAF, Trees
from portside.runtimes.trees_gather import to_gather
from portside.runtimes.trees_onnx import to_onnx
from portside.sdk.core.errors import FormatError, InputError

sys.path.insert(0, str(Path(__file__).parent))
from grown import COLUMNS, WORDS, answers, random_rows, random_trees


def walk(trees, row):
    """One row, one node at a time, in plain Python."""
    total = np.zeros(trees.outputs)
    for root, offset in zip(trees.roots, trees.offsets, strict=True):
        node = root
        while trees.feature[node] != LEAF:
            value, category = row[trees.feature[node]], trees.bitset[node] >= 0
            if np.isnan(value) or (category and value < 0):
                left = trees.missing_left[node]
            elif category:
                left = value < 32 * WORDS and int(trees.bitsets[trees.bitset[node], int(value) // 32]) >> (int(value) % 32) & 1
            else:
                left = value <= trees.threshold[node]
            node = trees.left[node] if left else trees.right[node]
        values = trees.values[trees.left[node]]
        total[offset : offset + len(values)] += values
    return total / trees.divisor + trees.base


ensembles = st.builds(random_trees, seed=st.integers(0, 2**31), trees=st.integers(1, 9), outputs=st.integers(1, 4),
                      targeted=st.booleans(), categories=st.booleans(), aggregate=st.sampled_from(["sum", "mean"]))  # fmt: skip


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_evaluate_is_a_plain_walk(trees, seed):
    x = random_rows(seed)
    np.testing.assert_allclose(trees.evaluate(x), [walk(trees, row) for row in x], rtol=1e-5, atol=1e-6)


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_both_lowerings_equal_the_definition(trees, seed):
    x = random_rows(seed)
    expected = trees.evaluate(x)
    for model in (to_onnx(trees), to_gather(trees)):
        np.testing.assert_allclose(answers(model, x), expected, rtol=1e-5, atol=1e-5)


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_the_tree_operator_answers_a_row_the_same_in_any_batch(trees, seed):
    model, x = to_onnx(trees), random_rows(seed, 12)
    np.testing.assert_array_equal(np.concatenate([answers(model, row[None]) for row in x]), answers(model, x))


@given(ensembles)
@settings(max_examples=20, deadline=None)
def test_arrays_survive_a_round_trip(trees):
    again = Trees.from_tensors(trees.to_dict(), trees.to_tensors())
    np.testing.assert_array_equal(again.evaluate(random_rows(1)), trees.evaluate(random_rows(1)))


def test_many_rows_are_walked_in_chunks(monkeypatch):
    trees, x = random_trees(3), random_rows(4, 100)
    whole = trees.evaluate(x)
    monkeypatch.setattr("portside.runtimes.trees.CHUNK", 50)
    np.testing.assert_array_equal(trees.evaluate(x), whole)
    assert trees.evaluate(x[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda a: np.zeros_like(a)),  # a loop
        ("right", lambda a: np.full_like(a, 10_000)),
        ("feature", lambda a: np.full_like(a, COLUMNS)),
        ("bitset", lambda a: np.full_like(a, 500)),
        ("roots", lambda a: a[::-1]),
        ("offsets", lambda a: a + 3),
        ("values", lambda a: a[:1]),
        ("threshold", lambda a: a[1:]),
    ],
)
def test_malformed_arrays_are_refused(name, change):
    trees = random_trees(5)
    with pytest.raises(FormatError, match="malformed"):
        Trees.from_tensors(trees.to_dict(), {**trees.to_tensors(), name: change(trees.to_tensors()[name])})


def test_unknown_versions_missing_arrays_and_wrong_shapes_are_refused():
    trees = random_trees(6)
    tensors = trees.to_tensors()
    with pytest.raises(FormatError, match="version"):
        Trees.from_tensors({**trees.to_dict(), "trees": 2}, tensors)
    with pytest.raises(FormatError, match="'base'"):
        Trees.from_tensors(trees.to_dict(), {name: value for name, value in tensors.items() if name != "base"})
    with pytest.raises(FormatError, match="aggregate"):
        Trees.from_tensors({**trees.to_dict(), "aggregate": "max"}, tensors)
    with pytest.raises(InputError, match="columns"):
        trees.evaluate(np.zeros((2, COLUMNS + 1), np.float32))


@pytest.mark.parametrize(
    ("head", "weights"),
    [
        (b"[" * 100_000, b""),  # deeper than the parser goes
        (b'{"data": [], "tensors": [1]}', b""),
        (b'{"data": {}, "tensors": {"left": "left"}}', b"\xff" * 100),
        (b'{"data": {}, "tensors": {"left": "left"}}', b"\x80\x04cos\nsystem\n."),  # a pickle called weights
        (b"\xff\xfe", b""),
    ],
)
def test_a_stage_of_garbage_is_one_kind_of_error(head, weights):
    files = {"program/00-trees.trees.json": head, "program/weights.safetensors": weights}
    with pytest.raises(FormatError, match="malformed"):
        read_trees(files.__getitem__, "program/00-trees.trees.json")
