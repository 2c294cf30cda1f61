"""Convolutions: automatic and uneven padding, groups, dilations, strides, one to three dimensions."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "how",
    [
        {}, {"pads": 1}, {"strides": 2, "auto_pad": "SAME_UPPER"}, {"strides": 2, "auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"},
        {"dilations": 2, "pads": 2}, {"strides": 3}, {"uneven": True}, {"group": 2, "pads": 1},
    ],
)  # fmt: skip
def test_conv(same, rank, how):
    groups, sizes = how.get("group", 1), (7, 8, 6)[:rank]
    attributes = {name: [how[name]] * rank for name in ("strides", "dilations") if name in how}
    attributes |= {"auto_pad": how["auto_pad"]} if "auto_pad" in how else {}
    attributes |= {"pads": [how["pads"]] * (2 * rank)} if "pads" in how else {}
    attributes |= {"pads": [1] * rank + [0] * rank} if how.get("uneven") else {}
    kernel = random(6, 4 // groups, *[3] * rank)
    same("Conv", [random(2, 4, *sizes)], constants={1: kernel, 2: random(6)}, group=groups, **attributes)


def test_weights_from_the_data(same):
    same("Conv", [random(1, 2, 5, 5), random(3, 2, 3, 3)])


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize(
    "how",
    [
        {}, {"strides": 2}, {"strides": 2, "pads": 1}, {"strides": 2, "pads": 1, "output_padding": 1}, {"strides": 2, "uneven": True},
        {"strides": 2, "dilations": 2}, {"dilations": 2, "pads": 1}, {"strides": 2, "auto_pad": "SAME_UPPER"}, {"group": 2, "strides": 2},
        {"strides": 2, "auto_pad": "SAME_LOWER"}, {"strides": 3, "output_shape": 20}, {"strides": 2, "kernel": 4, "pads": 1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("bias", [False, True])
def test_transposed(same, rank, how, bias):
    groups = how.get("group", 1)
    attributes = {name: [how[name]] * rank for name in ("strides", "dilations", "output_padding", "output_shape") if name in how}
    attributes |= {"auto_pad": how["auto_pad"]} if "auto_pad" in how else {}
    attributes |= {"pads": [how["pads"]] * (2 * rank)} if "pads" in how else {}
    attributes |= {"pads": [1] * rank + [0] * rank} if how.get("uneven") else {}
    kernel = random(4, 6 // groups, *[how.get("kernel", 3)] * rank)
    given = {1: kernel, 2: random(6)} if bias else {1: kernel}
    same("ConvTranspose", [random(2, 4, *(6, 7)[:rank])], constants=given, group=groups, **attributes)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pools(same, op):
    same(op, [random(2, 3, 4, 5)])
    same(op, [random(2, 3, 4)])
