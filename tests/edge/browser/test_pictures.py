"""What a page draws goes to a server as files, which its codec reads back to the same pixels."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from portside.sdk.core.codec.image import Image

HERE = Path(__file__).resolve().parent


def sent(node, pictures):
    words = json.dumps([{"shape": picture.shape, "data": picture.ravel().tolist()} for picture in pictures])
    done = subprocess.run([node, HERE / "pictures.mjs", words], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (3, 5, 7), (2, 4, 6, 3)])
def test_pixels_come_back(node, shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wire = sent(node, [picture])
    (got,) = Image(mode="RGB" if shape[-1] == 3 else "L").encode("photo", wire["photo"])
    assert np.array_equal(np.asarray(got).ravel(), picture.ravel())
    assert wire["text"] == ["a"] and wire["x"] == [1, None]


def test_transparency_is_composed_by_the_server(node):
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[..., 3] = [[0, 255], [128, 255]]
    (got,) = Image().encode("photo", sent(node, [picture])["photo"])
    assert got[0, :, :, 0].tolist() == [[255, 0], [127, 0]]
