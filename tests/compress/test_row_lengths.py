"""Rows of different lengths: every row once, rows of a batch alike, the same order for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from portside.compress.row_lengths import POOL, alike, lengths_of, shuffled
from portside.sdk.core.signature import Signature, TensorSpec


def signature(*shape: int | str) -> Signature:
    ids = TensorSpec("ids", "i64", shape)
    return Signature(inputs=(ids,), outputs=(TensorSpec("embedding", "f32", ("batch", 4)),))


def padding(batches: list[np.ndarray], lengths: np.ndarray) -> int:
    return int(sum(len(rows) * lengths[rows].max() - lengths[rows].sum() for rows in batches))


def encoded(inputs) -> dict[str, np.ndarray]:
    """A token per word, padded to the longest text, as codecs do."""
    words = [text.split() for text in inputs["text"]]
    return {"ids": np.zeros((len(words), max(map(len, words))), np.int64)}


def test_texts_are_as_long_as_the_model_sees_them() -> None:
    inputs = {"text": ["a", "three long words", "", "twenty-six-letters-at-once"], "other": np.zeros((4, 2))}
    held = lengths_of(signature("batch", "sequence"), encoded, inputs)
    assert held is not None
    assert held.tolist() == [1, 3, 0, 1]


@pytest.mark.parametrize(("shape", "inputs"), [
    (("batch", 16), {"text": ["a", "bb"]}),
    (("batch", "sequence"), {"ids": np.zeros((2, 3), np.int64)}),
    (("batch", "sequence"), {"text": ["a", None]}),
])  # fmt: skip
def test_rows_of_one_length_and_numbers_have_none(shape, inputs) -> None:
    assert lengths_of(signature(*shape), encoded, inputs) is None


@pytest.mark.parametrize("rows", [1, 7, 64, 4 * POOL * 2 + 5])
@pytest.mark.parametrize("known", [True, False])
def test_every_row_comes_once_in_batches_of_the_size(rows, known) -> None:
    lengths = np.random.default_rng(0).integers(1, 300, rows) if known else None
    for made in (list(shuffled(rows, 4, np.random.default_rng(1), lengths)), list(alike(rows, 4, lengths))):
        assert sorted(np.concatenate(made)) == list(range(rows))
        assert sorted(len(part) for part in made)[1:] == [4] * (len(made) - 1)


def test_rows_of_a_batch_are_alike_and_batches_come_by_chance() -> None:
    lengths = np.random.default_rng(0).integers(20, 300, 2000)
    plain, made = (list(shuffled(2000, 16, np.random.default_rng(1), held)) for held in (None, lengths))
    assert padding(made, lengths) < padding(plain, lengths) / 8
    assert padding(list(alike(2000, 16, lengths)), lengths) < padding(made, lengths)
    longest = [lengths[rows].max() for rows in made[:POOL]]
    assert longest != sorted(longest)


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    lengths = np.random.default_rng(0).integers(20, 300, 200)
    one, again, other = (np.concatenate(list(shuffled(200, 8, np.random.default_rng(seed), lengths))) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


def test_without_lengths_the_order_is_that_of_the_seed_alone() -> None:
    assert np.concatenate(list(shuffled(9, 2, np.random.default_rng(3)))).tolist() == np.random.default_rng(3).permutation(9).tolist()
