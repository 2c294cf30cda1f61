"""One batch of several calls' inputs, and its outputs apart again."""

import numpy as np
import pytest

from portside.cloud.answering.joining import Joiner
from portside.sdk.core.errors import EngineError
from portside.sdk.core.signature import Signature, TensorSpec

OUT = TensorSpec("y", "f32", ("batch", 2))
WORDS = Signature((TensorSpec("ids", "i32", ("batch", "words")), TensorSpec("x", "f32", (3, "batch"), batch_axis=1)), (OUT,))
PHOTO = Signature((TensorSpec("photo", "u8", ("batch", 20, 30, 3), canvas=(20, 30)),), (OUT,))


def test_kinds_tell_open_sizes_apart():
    joiner = Joiner(WORDS)
    calls = [{"ids": np.zeros((rows, words), np.int32), "x": np.zeros((3, rows), np.float32)} for rows, words in [(1, 5), (4, 5), (1, 6)]]
    kinds = [joiner.kind(call) for call in calls]
    assert kinds[0] == kinds[1] != kinds[2] and joiner.measure(calls[1]) == (4, 4 * 5 * 4 + 3 * 4 * 4)
    joined = joiner.join(calls[:2])
    assert joined["ids"].shape == (5, 5) and joined["x"].shape == (3, 5)
    assert Joiner(Signature((TensorSpec("x", "f32", ("batch", 4)),), (OUT,))).kind({"x": np.zeros((2, 4))}) == ()


def test_what_has_no_batch_axis_cannot_be_joined():
    shared = TensorSpec("limit", "f32", (1,), batch_axis=None)
    assert not Joiner(Signature((TensorSpec("x", "f32", ("batch",)), shared), (OUT,))).can
    assert not Joiner(Signature((TensorSpec("x", "f32", ("batch",)),), (TensorSpec("mean", "f32", (), batch_axis=None),))).can
    assert Joiner(WORDS).can and Joiner(PHOTO).can


def test_images_of_different_sizes_stay_a_list():
    joiner = Joiner(PHOTO)
    small, large = np.ones((1, 8, 9, 3), np.uint8), np.full((2, 10, 9, 3), 2, np.uint8)
    joined = joiner.join([{"photo": small}, {"photo": large}, {"photo": [np.zeros((5, 5, 3), np.uint8)]}])["photo"]
    assert [image.shape for image in joined] == [(8, 9, 3), (10, 9, 3), (10, 9, 3), (5, 5, 3)]
    assert joiner.join([{"photo": small}, {"photo": small}])["photo"].shape == (2, 8, 9, 3)
    assert joiner.measure({"photo": joined})[0] == 4


def test_outputs_are_split_by_rows_and_own_their_memory():
    joiner = Joiner(Signature((TensorSpec("x", "f32", ("batch",)),), (OUT, TensorSpec("z", "f32", (2, "batch"), batch_axis=1))))
    whole = {"y": np.arange(12, dtype=np.float32).reshape(6, 2), "z": np.arange(12, dtype=np.float32).reshape(2, 6)}
    parts = joiner.split(whole, [1, 3, 2])
    assert [part["y"].tolist() for part in parts] == [whole["y"][:1].tolist(), whole["y"][1:4].tolist(), whole["y"][4:].tolist()]
    assert parts[1]["z"].tolist() == whole["z"][:, 1:4].tolist() and all(part["y"].base is None for part in parts)
    with pytest.raises(EngineError, match="other rows"):
        joiner.split(whole, [1, 2])
