"""A digest of rows: what tells them apart, and what does not."""

from __future__ import annotations

import tracemalloc
from hashlib import sha256

import numpy as np

import portside as ps
from portside.sdk.core import data_digest as module
from portside.sdk.core.canonical import digest_of
from portside.sdk.core.data_digest import data_digest, slices_digest


def test_the_digest_is_of_names_dtypes_shapes_and_bytes():
    base = {"x": np.arange(12, dtype=np.float32).reshape(4, 3)}
    digests = [
        data_digest(ps.Data(inputs, labels=labels))
        for inputs, labels in [
            (base, None), ({"y": base["x"]}, None), ({"x": base["x"].astype(np.float64)}, None), ({"x": base["x"].reshape(4, 3, 1)}, None),
            ({"x": base["x"][::-1]}, None), (base, [0, 1, 0, 1]), ({"x": ["a", "b"]}, None), ({"x": ["ab", ""]}, None),
            ({"x": [b"a", b"b"]}, None),
        ]
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)
    assert data_digest(ps.Data({"x": np.asfortranarray(base["x"])})) == digests[0]


def test_it_is_that_of_all_bytes_and_reads_them_in_parts(tmp_path, monkeypatch) -> None:
    x = np.random.default_rng(0).normal(size=(101, 7)).astype(np.float32)
    names = np.array(["a", "bcd"])
    whole = [data_digest(ps.Data({"x": held})) for held in (x, x[:, ::2], x[::3], names)]
    monkeypatch.setattr(module, "AT_ONCE", 100)
    assert [data_digest(ps.Data({"x": held})) for held in (x, x[:, ::2], x[::3], names)] == whole
    assert digest_of({"inputs": {"x": ["<f4", [101, 7], sha256(x.tobytes()).hexdigest()]}, "labels": None}) == whole[0]
    monkeypatch.undo()
    file = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(1 << 20, 16))
    tracemalloc.start()
    data_digest(ps.Data({"x": file}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < file.nbytes / 4


def test_slices_have_a_digest_of_their_own() -> None:
    x = {"x": np.zeros((4, 1), np.float32)}
    plain, one, other = ps.Data(x), ps.Data(x, slices={"site": ["a", "a", "b", "b"]}), ps.Data(x, slices={"site": ["a", "b", "b", "b"]})
    assert slices_digest(plain) is None
    assert slices_digest(one) != slices_digest(other)
    assert data_digest(plain) == data_digest(one)
