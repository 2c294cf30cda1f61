"""Arithmetic and activations over ordinary numbers, NaN, infinities and zeros of either sign."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

EDGES = np.array([[-np.inf, np.inf, np.nan, 0.0, -0.0, 1e-30, -1e30, 1.0], [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 30.0]], np.float32)
PLAIN = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32) * 3
UNARY = ["Abs", "Neg", "Ceil", "Floor", "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Sigmoid", "Tanh", "Relu", "Softplus", "Softsign"]
UNARY += ["Sign", "Identity"]
OTHERS = ["Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Atanh", "Erf", "HardSwish", "Mish"]
QUIET = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("op", UNARY)
@pytest.mark.parametrize("x", [EDGES, PLAIN], ids=["edges", "plain"])
def test_one_number(same, op, x):
    if op in ("Sign", "Relu", "Softplus", "Sigmoid", "Tanh"):
        x = np.nan_to_num(x, nan=0.25, posinf=50, neginf=-50)
    same(op, [x])


@pytest.mark.parametrize("op", OTHERS)
def test_functions(same, op):
    same(op, [np.tanh(PLAIN)])


def test_acosh(same):
    same("Acosh", [1 + np.abs(PLAIN)])


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("LeakyRelu", {"alpha": 0.1}), ("Elu", {"alpha": 0.7}), ("Celu", {"alpha": 2.0}), ("Selu", {}),
        ("Selu", {"alpha": 1.5, "gamma": 2.0}), ("ThresholdedRelu", {"alpha": 0.5}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("Shrink", {"lambd": 1.0, "bias": 0.5}),
    ],
)  # fmt: skip
def test_attributes(same, op, attributes):
    same(op, [PLAIN], **attributes)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(same, approximate):
    same("Gelu", [PLAIN], opset=20, approximate=approximate)


@QUIET
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.float64])
def test_two_numbers_broadcast(same, op, dtype):
    rng = np.random.default_rng(1)
    y = rng.integers(1, 9, (4, 1)) * rng.choice([-1, 1], (4, 1))
    same(op, [rng.integers(-50, 50, (2, 1, 5)).astype(dtype), y.astype(dtype)])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_two_numbers_at_the_edges(same, op):
    with np.errstate(all="ignore"):
        same(op, [EDGES[:, None], EDGES[:, :, None]])


@given(
    x=arrays(np.int64, (7,), elements=st.integers(-1000, 1000)),
    y=arrays(np.int64, (7,), elements=st.integers(1, 40)),
    signs=arrays(np.int64, (7,), elements=st.sampled_from([-1, 1])),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_integers_are_cut_towards_zero(same, x, y, signs):
    same("Div", [x, y * signs], traced=False)
    same("Mod", [x, y * signs], traced=False)
    same("Mod", [x, y * signs], traced=False, fmod=1)


def test_mod_of_floats(same):
    same("Mod", [PLAIN, np.full((1, 8), 1.7, np.float32)], fmod=1)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -1.0, 0.0])
def test_powers(same, exponent):
    same("Pow", [np.abs(PLAIN) + 0.1], constants={1: np.float32(exponent)})
    same("Pow", [np.abs(PLAIN) + 0.1, np.full((8,), exponent, np.float32)])


def test_powers_of_integers(same):
    same("Pow", [np.array([1, 2, -3], np.int64)], constants={1: np.int64(3)})
    same("Pow", [np.array([1, 2, 3], np.int64), np.array([3, 2, 1], np.int64)])


@pytest.mark.parametrize("op", ["Sum", "Mean", "Max", "Min"])
def test_many_inputs(same, op):
    same(op, [PLAIN, PLAIN[:1] * 2, PLAIN[:, :1]])
    same(op, [PLAIN])


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (None, 1.0), (0.0, None), (None, None), (3.0, 1.0)])
def test_clip(same, low, high):
    bounds = {index: np.float32(value) for index, value in ((1, low), (2, high)) if value is not None}
    same("Clip", [PLAIN], constants=bounds)
    if low is None or high is None or low <= high:  # older opsets refuse crossed bounds
        same("Clip", [PLAIN], opset=6, **{name: value for name, value in (("min", low), ("max", high)) if value is not None})


def test_clip_at_the_edges(same):
    same("Clip", [EDGES], constants={1: np.float32(-1), 2: np.float32(2)})


def test_clip_with_a_bound_from_the_data(same):
    same("Clip", [PLAIN, np.float32(-1)], constants={2: np.float32(2)})
    same("Clip", [np.arange(-5, 5), np.int64(-1)], constants={2: np.int64(2)})
    same("Clip", [PLAIN, np.array(object()), np.float32(0.5)])


def test_prelu(same):
    same("PRelu", [PLAIN], constants={1: np.linspace(-1, 1, 8, dtype=np.float32)})


@given(x=arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.floats(-100, 100, width=32)))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape(same, x):
    same("Mul", [x, np.float32(3)], traced=False)
    same("Round", [x], traced=False)


def test_dropout_drops_nothing(same):
    same("Dropout", [PLAIN], outputs=2)
    same("Dropout", [PLAIN], opset=11, ratio=0.3)
