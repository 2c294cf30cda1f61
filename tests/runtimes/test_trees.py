"""The tree IR: its definition in numpy against a plain walk, both lowerings against the definition, refusals."""

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.runtimes.tree_stage import read_trees
from portside.runtimes.trees import LEAF, Trees
from portside.runtimes.trees_gather import to_gather
from portside.runtimes.trees_onnx import to_onnx
from portside.sdk.core.errors import FormatError, InputError

COLUMNS = 4


def random_trees(seed, trees=7, outputs=3, targeted=False, categories=True, aggregate="sum"):
    """An ensemble with numeric nodes on a tenth-grid, category nodes with up to 70 codes, and every missing side."""
    rng = np.random.default_rng(seed)
    held = {name: [] for name in ("feature", "threshold", "left", "right", "missing_left", "bitset")}
    values, roots, sets = [], [], []

    def node(depth):
        at = len(held["feature"])
        leaf = depth == 0 or rng.random() < 0.2
        category = categories and not leaf and rng.random() < 0.4
        numbers = {"feature": LEAF if leaf else rng.integers(COLUMNS), "threshold": np.float32(rng.integers(-20, 20) / 10)}
        numbers |= {"missing_left": rng.integers(2), "bitset": len(sets) if category else -1, "left": 0, "right": 0}
        for name, value in numbers.items():
            held[name].append(value)
        if category:
            sets.append(rng.integers(0, 2**32, 3, dtype=np.uint32))
        if leaf:
            held["left"][at] = len(values)
            values.append(rng.normal(size=1 if targeted else outputs).astype(np.float32))
        else:
            held["left"][at] = node(depth - 1)
            held["right"][at] = node(depth - 1)
        return at

    for _ in range(trees):
        roots.append(node(int(rng.integers(0, 6))))
    offsets = rng.integers(0, outputs, trees) if targeted else np.zeros(trees)
    bitsets = np.array(sets, np.uint32).reshape(-1, 3)
    return Trees(columns=COLUMNS, aggregate=aggregate, bitsets=bitsets, roots=roots, offsets=offsets, values=np.array(values),
                 base=rng.normal(size=outputs), **held)  # fmt: skip


def rows(seed, count=40):
    """Codes, tenths that tie with thresholds, missing and unknown codes, NaN and infinities."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((count, COLUMNS)) < 0.5, rng.integers(-20, 20, (count, COLUMNS)) / 10, rng.integers(0, 120, (count, COLUMNS)))
    odd = rng.choice([np.nan, np.inf, -np.inf, -1.0, -2.0, 1e30], (count, COLUMNS))
    return np.where(rng.random((count, COLUMNS)) < 0.2, odd, x).astype(np.float32)


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
                left = value < 96 and int(trees.bitsets[trees.bitset[node], int(value) // 32]) >> (int(value) % 32) & 1
            else:
                left = value <= trees.threshold[node]
            node = trees.left[node] if left else trees.right[node]
        values = trees.values[trees.left[node]]
        total[offset : offset + len(values)] += values
    return total / trees.divisor + trees.base


def run(model, x):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": x})[0]


ensembles = st.builds(random_trees, seed=st.integers(0, 2**31), trees=st.integers(1, 9), outputs=st.integers(1, 4),
                      targeted=st.booleans(), categories=st.booleans(), aggregate=st.sampled_from(["sum", "mean"]))  # fmt: skip


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_evaluate_is_a_plain_walk(trees, seed):
    x = rows(seed)
    np.testing.assert_allclose(trees.evaluate(x), [walk(trees, row) for row in x], rtol=1e-5, atol=1e-6)


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_both_lowerings_equal_the_definition(trees, seed):
    x = rows(seed)
    expected = trees.evaluate(x)
    for model in (to_onnx(trees), to_gather(trees)):
        np.testing.assert_allclose(run(model, x), expected, rtol=1e-5, atol=1e-5)


@given(ensembles, st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_the_tree_operator_answers_a_row_the_same_in_any_batch(trees, seed):
    model, x = to_onnx(trees), rows(seed, 12)
    np.testing.assert_array_equal(np.concatenate([run(model, row[None]) for row in x]), run(model, x))


@given(ensembles)
@settings(max_examples=20, deadline=None)
def test_arrays_survive_a_round_trip(trees):
    again = Trees.from_tensors(trees.to_dict(), trees.to_tensors())
    np.testing.assert_array_equal(again.evaluate(rows(1)), trees.evaluate(rows(1)))


def test_many_rows_are_walked_in_chunks(monkeypatch):
    trees, x = random_trees(3), rows(4, 100)
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
