"""Teaching on texts of different lengths: answers belong to their rows, and a student comes close to the teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import words

import portside as ps
from portside.compress.base import PassContext
from portside.compress.distil_teachers import Teacher
from portside.compress.training.batches import Batches
from portside.compress.training.stored import trainee_of

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijkl"]


@pytest.fixture(scope="module")
def texts() -> ps.Data:
    random = np.random.default_rng(0)
    return ps.Data({"text": [" ".join(random.choice(VOCABULARY[4:], random.integers(1, 20))) for _ in range(300)]})


def packed(folder, texts, **config):
    torch.manual_seed(len(config))
    ps.pack(words.make(**config).eval(), name="words", featurize=words.tokens, predict=words.vector,
            examples={"text": texts.inputs["text"][:16]}, codec={"text": ps.codec.WordPiece(VOCABULARY, max_length=32)},
            dynamic={"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}}, out=folder,
            training=ps.Training(words.make, config, loss="cosine", schedule=ps.Schedule(epochs=8, lr=2e-2, batch=16)))  # fmt: skip
    return ps.open(folder, trust=True)


@pytest.fixture(scope="module")
def teacher(texts, tmp_path_factory):
    return packed(tmp_path_factory.mktemp("words") / "teacher", texts)


@pytest.fixture(scope="module")
def student(texts, tmp_path_factory):
    return packed(tmp_path_factory.mktemp("words") / "student", texts, rank=4)


def likeness(package, teacher, data) -> float:
    one, two = (held.predict(data.inputs)["embedding"] for held in (package, teacher))
    return float((one * two).sum(1).mean())


def test_the_teachers_answers_stand_in_the_order_of_the_rows(teacher, texts) -> None:
    few = texts.take(range(60))
    held = Teacher(teacher).answer(few, ["embedding"], PassContext())["embedding"]
    alone = np.concatenate([teacher.predict({"text": [text]})["embedding"] for text in few.inputs["text"]])
    np.testing.assert_allclose(held, alone, atol=1e-5)


def test_a_batch_is_padded_little(student, texts) -> None:
    batches = list(Batches(student, trainee_of(student), texts).epoch(16, 0, 0))
    real = sum(int(batch.features[1].sum()) for batch in batches)
    assert sum(batch.features[1].numel() for batch in batches) < 1.1 * real
    assert sorted(np.concatenate([batch.rows for batch in batches])) == list(range(300))


@pytest.mark.slow
@pytest.mark.long
def test_a_student_comes_close_and_the_same_seed_gives_the_same(teacher, student, texts, tmp_path) -> None:
    learn, held = texts.take(range(250)), texts.take(range(250, 300))
    step = ps.Distil(student, loss="embedding")
    made = ps.compress(teacher, step, learn, out=tmp_path / "made", resume=tmp_path / "kept")
    assert likeness(student, teacher, held) < 0.6
    assert likeness(made, teacher, held) > 0.8
    again = ps.compress(teacher, step, learn, out=tmp_path / "again")
    assert made.read("training/weights.safetensors") == again.read("training/weights.safetensors")
