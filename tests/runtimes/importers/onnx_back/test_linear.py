"""Products of matrices, with weights that are constants and with weights that are data."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "y"), [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 1)), ((3,), (3,))]
)
def test_matmul(same, x, y):
    left, right = random(*x), random(*y)
    same("MatMul", [left], constants={1: right})
    same("MatMul", [left, right])


def test_matmul_of_integers(same):
    same("MatMul", [RNG.integers(-9, 9, (2, 3))], constants={1: RNG.integers(-9, 9, (3, 4))})


@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("bias", [None, (4,), (1, 4), (2, 1), ()])
def test_gemm(same, transposed, bias):
    a, b = transposed
    x, y = random(*((3, 2) if a else (2, 3))), random(*((4, 3) if b else (3, 4)))
    given = {} if bias is None else {2: random(*bias)}
    same("Gemm", [x], constants={1: y, **given}, transA=a, transB=b, alpha=0.5, beta=2.0)
    same("Gemm", [x, y], constants=given, transA=a, transB=b)


def test_a_constant_matrix_is_a_linear_layer(same):
    from portside.runtimes.importers.onnx_back.module import export

    module = same("MatMul", [random(2, 3)], constants={1: random(3, 4)})
    assert [node.name for node in export(module).graph.nodes if node.op == "call_function"] == ["linear"]


@pytest.mark.parametrize("equation", ["ij,jk->ik", "bij, bkj -> bik", "ij,jk", "ii->i", "bij->b", "...ij,...jk->...ik"])
def test_einsum(same, equation):
    shapes = {"ij,jk->ik": [(2, 3), (3, 4)], "ij,jk": [(2, 3), (3, 4)], "ii->i": [(3, 3)], "bij->b": [(2, 3, 4)],
              "bij, bkj -> bik": [(2, 3, 4), (2, 5, 4)], "...ij,...jk->...ik": [(5, 2, 3), (5, 3, 4)]}  # fmt: skip
    same("Einsum", [random(*shape) for shape in shapes[equation]], equation=equation)
