"""What may be missing stays missing on TFLite, whatever its kernels make of NaN: a program that asks `isnan` after them hears of it."""

import numpy as np
import pytest
import torch

import portside as ps
from portside.runtimes.importers.missing_kept import LOSING, MissingKept
from portside.runtimes.loading import load

KERNELS = (
    torch.log1p, torch.exp, torch.expm1, torch.erf, torch.nn.functional.elu, lambda x: torch.log(x.abs() + 1), lambda x: x.clamp(-1, 2),
    lambda x: torch.maximum(x, torch.ones_like(x)), lambda x: torch.minimum(torch.ones_like(x), x), torch.nn.functional.gelu,
)  # fmt: skip


class AfterKernels(torch.nn.Module):
    """Which columns are missing, asked after every kernel; and what the kernels made of the others."""

    def forward(self, x):
        made = torch.stack([kernel(x) for kernel in KERNELS], 1)
        hole = torch.isnan(made)
        return hole.to(torch.float32), torch.where(hole, torch.zeros_like(made), made)


def features(numbers):
    return numbers.to(torch.float32)


def answers(model, x):
    hole, made = model(x)
    return {"hole": hole, "made": made}


@pytest.mark.slow
@pytest.mark.parametrize("source", ["onnx", pytest.param("pt2", marks=pytest.mark.long)])
def test_isnan_after_a_kernel_hears_of_a_missing_number(tmp_path, source):
    numbers = np.random.default_rng(0).random((64, 3))
    numbers[::3, 0] = numbers[::5, 2] = np.nan
    package = ps.pack(AfterKernels(), name="holes", featurize=features, predict=answers, examples={"numbers": numbers}, out=tmp_path / "p")
    made = load(ps.compile(package, target="tflite", out=tmp_path / "a", source=source)).run({"numbers": numbers})
    assert (made["hole"] == np.isnan(numbers)[:, None]).all()
    truth = torch.stack([kernel(torch.tensor(numbers, dtype=torch.float32)) for kernel in KERNELS], 1).nan_to_num(0)
    np.testing.assert_allclose(made["made"], truth, atol=1e-5)


def test_only_what_may_be_missing_pays_for_it():
    x, other = torch.tensor([1.0, torch.nan]), torch.tensor([2.0, torch.nan])
    calls = []

    def kernel(value):
        calls.append(value)
        return torch.full_like(value, 7.0)

    kernel.__name__ = "elu"
    mode = MissingKept([x])
    assert mode.__torch_function__(kernel, (), (other,)).tolist() == [7.0, 7.0]
    kept = mode.__torch_function__(kernel, (), (x,))
    assert kept[0] == 7.0 and kept[1].isnan()
    with mode:
        flowed = x * 2 + other
    later = mode.__torch_function__(kernel, (), (flowed,))
    assert later[0] == 7.0 and later[1].isnan()
    assert len(calls) == 3 and "elu" in LOSING
