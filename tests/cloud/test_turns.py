"""Turns are made shorter and never longer."""

import sys

import pytest

from portside.cloud.turns import TURN_S, short_turns


@pytest.fixture(autouse=True)
def _as_before():
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("before", [0.005, TURN_S / 5])
def test_turns_become_no_longer_than_asked(before):
    sys.setswitchinterval(before)
    short_turns()
    assert sys.getswitchinterval() == pytest.approx(min(before, TURN_S), abs=2e-6)
