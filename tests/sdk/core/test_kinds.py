"""What an output is, read from its dtype and values; and the unit in which it may differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.kinds import infer_kind, rules_of, scale_of
from portside.sdk.core.signature import Signature, TensorSpec

UNIT = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
UNIT /= np.linalg.norm(UNIT, axis=1, keepdims=True)


@pytest.mark.parametrize(("dtype", "values", "kind"), [
    ("i64", np.array([0, 1]), "decision"), ("bool", np.array([True]), "decision"), ("string", np.array(["a"], dtype=object), "decision"),
    ("f32", np.array([0.0, 1.0], np.float32), "score"), ("f32", np.array([0.5, np.nan], np.float32), "score"),
    ("f32", np.array([-0.1, 0.5], np.float32), "value"), ("f32", UNIT, "embedding"),
    ("f32", np.eye(32, dtype=np.float32), "score"), ("f32", UNIT * 2, "value"), ("f32", np.zeros(0, np.float32), "value"),
])  # fmt: skip
def test_kinds_are_inferred(dtype, values: np.ndarray, kind: str) -> None:
    assert infer_kind(TensorSpec("y", dtype, ("batch",)), values) == kind


def test_the_signature_wins() -> None:
    assert infer_kind(TensorSpec("y", "f32", ("batch",), kind="ranking"), np.zeros(3, np.float32)) == "ranking"


def test_scale_is_the_iqr_with_a_floor() -> None:
    assert scale_of(np.array([0.0, 10.0, 20.0, 30.0, 40.0])) == 20
    assert scale_of(np.full(9, 5000.0)) == 5.0
    assert scale_of(np.zeros(4)) == 1e-3
    assert scale_of(np.array([np.nan, np.inf])) == 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.1, 100))
def test_scale_is_positive_and_at_least_proportional_to_the_values(values: list[float], factor: float) -> None:
    assert scale_of(np.array(values)) > 0
    assert scale_of(np.array(values) * factor) <= max(factor, 1.0) * scale_of(np.array(values)) * (1 + 1e-9)


def test_rules_take_limits_and_places() -> None:
    signature = Signature((), (TensorSpec("rank", "f32", ("batch", 5), kind="ranking", top_k=3), TensorSpec("label", "i64", ("batch",))))
    outputs = {"rank": [np.arange(10.0).reshape(2, 5)], "label": [np.zeros(2, np.int64)]}
    rules = rules_of(signature, outputs, {"label": {"max_flips": 0.1}})
    assert (rules["rank"].kind, rules["rank"].top_k, rules["rank"].scale) == ("ranking", 3, 4.5)
    assert (rules["label"].kind, rules["label"].limits, rules["label"].scale) == ("decision", {"max_flips": 0.1}, 1.0)
