"""LSTM, GRU and RNN step by step."""

import numpy as np
import pytest

from portside.sdk.core.errors import UnsupportedError

RNG = np.random.default_rng(0)
STEPS, BATCH, WIDTH, HIDDEN = 5, 2, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def random(*shape):
    return (RNG.normal(size=shape) * 0.5).astype(np.float32)


def weights(op, directions, bias=True):
    rows = GATES[op] * HIDDEN
    given = {1: random(directions, rows, WIDTH), 2: random(directions, rows, HIDDEN)}
    return {**given, 3: random(directions, 2 * rows)} if bias else given


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_directions(same, op, direction):
    directions = 2 if direction == "bidirectional" else 1
    outputs = 3 if op == "LSTM" else 2
    same(op, [random(STEPS, BATCH, WIDTH)], constants=weights(op, directions), outputs=outputs, hidden_size=HIDDEN, direction=direction)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_a_state_to_start_from(same, op):
    states = {index: random(1, BATCH, HIDDEN) for index in ((5, 6) if op == "LSTM" else (5,))}
    outputs = 3 if op == "LSTM" else 2
    given = {**weights(op, 1, bias=False), **states}
    same(op, [random(STEPS, BATCH, WIDTH)], constants=given, outputs=outputs, hidden_size=HIDDEN)


def test_reset_after_the_product(same):
    same("GRU", [random(STEPS, BATCH, WIDTH)], constants=weights("GRU", 1), outputs=2, hidden_size=HIDDEN, linear_before_reset=1)


def test_peepholes(same):
    given = {**weights("LSTM", 1), 7: random(1, 3 * HIDDEN)}
    same("LSTM", [random(STEPS, BATCH, WIDTH)], constants=given, outputs=3, hidden_size=HIDDEN)


def test_other_activations(same):
    same("RNN", [random(STEPS, BATCH, WIDTH)], constants=weights("RNN", 1), outputs=2, hidden_size=HIDDEN, activations=["Relu"])


def test_full_lengths_pass_and_others_are_refused(same):
    given = weights("GRU", 1)
    same("GRU", [random(STEPS, BATCH, WIDTH)], constants={**given, 4: np.full(BATCH, STEPS, np.int32)}, outputs=2, hidden_size=HIDDEN)
    with pytest.raises(UnsupportedError, match="different lengths"):
        same("GRU", [random(STEPS, BATCH, WIDTH)], constants={**given, 4: np.array([5, 3], np.int32)}, outputs=2, hidden_size=HIDDEN)


def test_clipped_cells_are_refused(same):
    with pytest.raises(UnsupportedError, match="clip"):
        same("GRU", [random(STEPS, BATCH, WIDTH)], constants=weights("GRU", 1), outputs=2, hidden_size=HIDDEN, clip=1.0)
