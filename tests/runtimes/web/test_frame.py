"""Values survive the way into a frame and out of it, here and at the page's end (node)."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.web.frame import pack, unpack
from portside.runtimes.web.host import PAGE
from portside.sdk.core import errors

NODE = Path(sys.executable).parent / "node"
ECHO = """
import { pack, unpack } from "%s";
const parts = [];
for await (const part of process.stdin) parts.push(part);
const sent = Buffer.concat(parts);
const value = unpack(sent.buffer.slice(sent.byteOffset, sent.byteOffset + sent.length));
process.stdout.write(Buffer.from(await pack(value).arrayBuffer()));
"""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ARRAYS = [
    np.array([[1.5, np.nan], [-np.inf, -0.0]], np.float32),
    np.array([0.1, np.nan]),
    np.array([-(2**63), 2**63 - 1]),
    np.array([[True], [False]]),
    np.zeros((0, 3), np.uint8),
    np.array(3, np.float32),
    np.array([-128, 127], np.int8),
    np.array([-7, 7], np.int32),
    np.array(["a", None, "\u00e9"], object),
    np.zeros((2, 3, 5), np.float32).transpose(2, 0, 1),
]


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (one == other and math.copysign(1, one) == math.copysign(1, other))
    if isinstance(one, list | dict):
        keys = one if isinstance(one, dict) else range(len(one))
        return type(one) is type(other) and len(one) == len(other) and all(same(one[key], other[key]) for key in keys)
    return type(one) is type(other) and one == other


def through_node(value):
    script = ECHO % (PAGE / "frame.js").as_uri()
    done = subprocess.run([NODE, "--input-type=module", "-e", script], input=pack(value), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return unpack(done.stdout)


@given(PLAIN)
def test_plain_values_survive(value):
    assert same(unpack(pack(value)), value)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_survive(array):
    found = unpack(pack({"a": array}))["a"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == object or found.flags.writeable


def test_everything_survives_the_page():
    numbers = [0, -0.0, 0.1, math.nan, math.inf, -math.inf, 2**53 - 1, 2**53 + 1, -(2**63), 1e300]
    texts = ["", "\u00e9\U0001f6a2", "$", "\ud800"]
    plain = {"texts": texts, "rest": [None, True, False, [[], {}]], "": {"$": "map"}}
    found = through_node({"numbers": numbers, **plain, "arrays": ARRAYS})
    assert same({key: found[key] for key in plain}, plain)
    assert all(same(float(one), float(other)) and int(one) == other if isinstance(other, int) else same(one, other)
               for one, other in zip(found["numbers"], numbers, strict=True))  # fmt: skip
    for one, other in zip(found["arrays"], ARRAYS, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)


def test_bytes_reach_the_page_as_bytes():
    found = through_node([b"\0\xff\x01", b""])
    assert [part.tolist() for part in found] == [[0, 255, 1], []]  # a Uint8Array comes back as an array of bytes


@pytest.mark.parametrize("frame", [b"", b"\xff\xff\xff\xff", b"\2\0\0\0{]", pack({"a": np.ones(3)})[:40], b'\x0b\0\0\0{"$":"int"}'])
def test_a_malformed_frame_is_an_engine_error(frame):
    with pytest.raises(errors.EngineError, match="cannot be read"):
        unpack(frame)


def test_what_does_not_fit_is_named():
    with pytest.raises(TypeError, match="set"):
        pack({"a": {1}})
