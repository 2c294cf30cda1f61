"""The sizes at which a traced program is held against its source."""

import numpy as np

from portside.runtimes.importers.inputs import Input
from portside.runtimes.importers.probe import _very_large
from portside.sdk.core.signature import TensorSpec


def held(*shape, dims):
    return [Input(TensorSpec("x", "f32", dims), np.zeros(shape, np.float32))]


def test_a_very_large_batch_is_small_otherwise():
    assert list(_very_large(held(4, 70, dims=("batch", "sequence")))) == [{"batch": 300, "sequence": 2}, {"batch": 300, "sequence": 70}]


def test_a_very_large_batch_of_pictures_fits_in_memory():
    assert list(_very_large(held(2, 3, 512, 512, dims=("batch", 3, 512, 512)))) == [{"batch": 5}] * 2


def test_without_a_batch_there_is_none():
    assert list(_very_large(held(4, dims=("samples",)))) == []
