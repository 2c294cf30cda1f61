"""Prints of thumbnails: what is alike, in blocks of any number, and that nothing flat is."""

import numpy as np
import pytest

from portside.sdk.core import likeness
from portside.sdk.core.likeness import alike, print_of


def grey(seed, size=32):
    return np.random.default_rng(seed).integers(0, 256, (size, size)).astype(np.uint8)


def test_brightness_and_contrast_change_nothing_and_another_picture_is_another():
    held = grey(0) // 2
    assert alike([print_of(held), print_of(held // 2 + 40), print_of(grey(1))]) == [(0, 1)]


def test_what_is_flat_is_like_nothing():
    flat = print_of(np.full((32, 32), 7, np.uint8))
    assert not flat.any() and alike([flat, flat]) == [] and alike([]) == []


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_pairs_are_found_across_blocks(monkeypatch, block):
    monkeypatch.setattr(likeness, "BLOCK", block)
    prints = [print_of(grey(place % 5, 8)) for place in range(17)]
    expected = [(one, two) for one in range(17) for two in range(one + 1, 17) if one % 5 == two % 5]
    assert sorted(alike(prints, 0.99)) == expected


def test_a_print_has_no_mean_and_length_one():
    held = print_of(grey(3))
    assert held.dtype == np.float32 and abs(held.sum()) < 1e-3 and float(held @ held) == pytest.approx(1, abs=1e-5)
