"""Fake quantization: the codes of the lowering, gradients that pass where nothing is cut, ranges that follow and then stand still."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from portside.compress.qat_rounding import Ranges, rounded, rounded_weight, scale_of
from portside.runtimes.precision.onnx_static import quantize_weight


def sides(low, high):
    return tuple(torch.tensor(side, dtype=torch.float64, requires_grad=True) for side in (low, high))


def test_a_gradient_passes_where_nothing_is_cut():
    value = torch.tensor([-5.0, -0.99, 0.013, 1.99, 7.0], requires_grad=True)
    low, high = sides(-1.0, 2.0)
    made = rounded(value, low, high)
    (made * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).sum().backward()
    assert value.grad is not None
    assert value.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 0.0]
    assert not torch.equal(made, value.clamp(-1, 2))
    torch.testing.assert_close(made, value.clamp(-1, 2), atol=3 / 255, rtol=0)


def test_a_weight_is_never_cut():
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    rounded_weight(weight, 0).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, torch.ones_like(weight))


@pytest.mark.parametrize("shape", [(6, 5), (6, 2, 3, 3), (6, 1, 3)])
@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("tied", [False, True])
def test_weights_take_the_codes_of_the_lowering(shape, axis, tied):
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weight[0] *= 1e-6
    if tied:  # numbers half way between two codes
        weight = (np.rint(weight * 20) / 2).astype(np.float32)
        weight.reshape(-1)[0] = 127.0
    least = np.linspace(0, 1e-3, 1 if axis is None else shape[axis], dtype=np.float32)
    codes, scale = quantize_weight(weight, axis, least=least)
    shaped = scale if axis is None else scale.reshape([-1 if place == axis else 1 for place in range(weight.ndim)])
    made = rounded_weight(torch.from_numpy(weight), axis, torch.from_numpy(least)).numpy()
    assert np.array_equal(made, codes * shaped)


def test_a_range_is_widened_to_hold_zero_exactly():
    assert scale_of(0.5, 2.55)[1] == 0
    assert scale_of(-2.55, -0.5)[1] == 255
    scale, zero = scale_of(-1.0, 2.0)
    assert rounded(torch.zeros(1), *sides(-1.0, 2.0)).item() == 0.0
    assert (scale, zero) == (float(np.float32(3 / 255)), 85)
    assert scale_of(0.0, 0.0) == (1.0, 0)


def test_the_sides_of_a_range_learn_what_lies_beyond_them():
    value, (low, high) = torch.tensor([-5.0, 0.0, 7.0, 8.0]), sides(-1.0, 2.0)
    rounded(value, low, high).sum().backward()
    gentle = 1 / np.sqrt(4 * 255)
    assert low.grad is not None
    assert high.grad is not None
    assert low.grad.item() == pytest.approx(gentle)  # one number is cut below, two above; zero has a code of its own
    assert high.grad.item() == pytest.approx(2 * gentle)


def test_learned_ranges_stand_still_in_the_end():
    ranges = Ranges({"a": (-1.0, 1.0)}, {"a": (-1.0, 1.0)}, moving=1).train()
    optimizer = torch.optim.SGD(ranges.parameters(), 1e-2)
    found = []
    for _ in range(3):
        optimizer.zero_grad()
        wanted = torch.tensor([-3.0, 3.0], requires_grad=True)
        (ranges.rounded("a", wanted) - wanted).square().sum().backward()
        optimizer.step()
        ranges.stepped()
        found.append(ranges.of("a"))
    assert found[0][0] < -1.0
    assert found[0][1] > 1.0
    assert found[2] == found[1] == found[0]


def test_moving_ranges_follow_the_batches_then_stand_still():
    ranges = Ranges({"a": (-1.0, 1.0), "b": (0.0, 2.0)}, {"a": (-0.5, 1.0), "b": (0.0, 2.0)}, moving=2, learned=False).train()
    assert ranges.of("a") == (-0.5, 1.0)
    wide = torch.tensor([-2.0, 3.0])
    for _ in range(2):
        assert not ranges.frozen
        ranges.rounded("a", wide)
        ranges.stepped()
    held = ranges.of("a")
    assert held[0] < -0.5
    assert held[0] == pytest.approx(0.5 * (-1 - 0.05 - 0.95 * 0.05))  # half of the extremes, which moved by a twentieth twice
    assert held[1] > 1.0
    assert ranges.frozen
    ranges.rounded("a", 10 * wide)
    assert ranges.of("a") == held
    assert ranges.of("b") == (0.0, 2.0)


def test_outside_of_training_ranges_stay():
    ranges = Ranges({"a": (-1.0, 1.0)}, {"a": (-1.0, 1.0)}, moving=9, learned=False).eval()
    ranges.rounded("a", torch.tensor([-9.0, 9.0]))
    assert ranges.of("a") == (-1.0, 1.0)
