"""What ai-edge-quantizer is told."""

from __future__ import annotations

import re

import numpy as np
import pytest

from portside.runtimes.precision.tflite_fingerprints import fingerprint
from portside.runtimes.precision.tflite_operators import Operator
from portside.runtimes.precision.tflite_recipe import between, config, recipe, scope

WEIGHTS = fingerprint("w", "Conv", np.ones((2, 2), np.float32), 0)


@pytest.mark.parametrize(("precision", "kind", "bits", "grain"), [
    ("float16", "CONV_2D", 16, "CHANNELWISE"), ("int8-dynamic", "FULLY_CONNECTED", 8, "CHANNELWISE"),
    ("int8-static", "DEPTHWISE_CONV_2D", 8, "CHANNELWISE"), ("int4-weights", "FULLY_CONNECTED", 4, "BLOCKWISE_32"),
    ("int4-weights", "CONV_2D", 4, "CHANNELWISE"),
])  # fmt: skip
def test_every_class_has_a_configuration(precision, kind, bits, grain):
    held = config(precision, kind, (8, 64), per_channel=True).config
    assert held.weight_tensor_config.num_bits == bits
    assert held.weight_tensor_config.granularity == grain
    assert (held.activation_tensor_config is not None) == (precision == "int8-static")


def test_weights_that_fill_no_block_have_a_scale_per_channel_and_one_per_tensor_where_asked():
    held = config("int4-weights", "FULLY_CONNECTED", (8, 20), per_channel=True).config
    assert held.weight_tensor_config.granularity == "CHANNELWISE"
    held = config("int8-dynamic", "FULLY_CONNECTED", (8, 20), per_channel=False).config
    assert held.weight_tensor_config.granularity == "TENSORWISE"


@pytest.mark.parametrize(("precision", "kind", "said"), [
    ("int4-weights", "DEPTHWISE_CONV_2D", "TFLite has no int4-weights for DEPTHWISE_CONV_2D"),
    ("int8-dynamic", "GATHER", "TFLite has no int8-dynamic for GATHER"), ("float16", "LOGICAL_AND", "does not know LOGICAL_AND"),
])  # fmt: skip
def test_what_the_quantizer_lacks_is_said(precision, kind, said):
    with pytest.raises(ValueError, match=said):
        config(precision, kind, (8, 64), per_channel=True)


def chain(*kinds):
    """Operators one behind another; convolutions have weights."""
    return [Operator(0, at, kind, (at,), (at + 1,), WEIGHTS if kind == "CONV_2D" else None) for at, kind in enumerate(kinds)]


def test_static_spreads_between_static_operators_and_not_beyond():
    operators = chain("SUB", "CONV_2D", "MAX_POOL_2D", "RESHAPE", "CONV_2D", "RELU", "SOFTMAX")
    assert between(operators, [1, 4]) == [2, 3]
    assert between(operators, [1]) == []
    assert between(operators, [4]) == []
    assert between(chain("CONV_2D", "SOFTMAX", "CONV_2D"), [0, 2]) == []
    assert between(chain("CONV_2D", "RELU", "CONV_2D", "RELU", "CONV_2D"), [0, 4]) == []


def test_a_sum_is_static_where_both_of_its_values_are():
    conv = [Operator(0, 0, "CONV_2D", (0,), (1,), WEIGHTS), Operator(0, 1, "CONV_2D", (0,), (2,), WEIGHTS)]
    rest = [Operator(0, 2, "ADD", (1, 2), (3,)), Operator(0, 3, "CONV_2D", (3,), (4,), WEIGHTS)]
    assert between([*conv, *rest], [0, 1, 3]) == [2]
    assert between([*conv, *rest], [0, 3]) == []


def test_a_pattern_finds_exactly_its_operators():
    pattern = re.compile(scope(["0/1", "0/12"]))
    assert [name for name in ("0/1;", "0/12;", "0/11;", "10/1;", "1/12;") if pattern.search(name)] == ["0/1;", "0/12;"]


def test_operators_that_are_told_the_same_share_an_entry():
    told = [config("int8-dynamic", kind, (8, 64), per_channel=True) for kind in ("CONV_2D", "CONV_2D", "FULLY_CONNECTED")]
    entries = recipe(dict(zip(("0/1", "0/2", "0/3"), told, strict=True)))
    assert [(entry["operation"], entry["regex"].count("/")) for entry in entries] == [("CONV_2D", 2), ("FULLY_CONNECTED", 1)]
