"""Files of precomputed answers: what is written is read, and every row that is no answer is refused with its number."""

import json

import numpy as np
import pytest

from portside.cloud.deployment.table_files import Columns, write_columns
from portside.cloud.deployment.tables import read_table
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 2)),),
    (
        TensorSpec("label", "i64", ("batch",), categories=("good", "bad"), kind="decision"),
        TensorSpec("score", "f32", (2, "batch"), batch_axis=1, range=(0.0, 1.0), kind="score"),
    ),
)
ABOUT = {"format": 1, "by": "content", "front": "front"}
KEYS = [f"{place:032x}" for place in range(3)]
LABELS, SCORES = np.array([0, 1, 1]), np.array([[0.5, 0.25], [0.0, 1.0], [1.0, 0.0]], np.float32)


def written(path, key="key", keys=KEYS, about=ABOUT, label=LABELS, score=SCORES):
    write_columns(path, key, Columns(keys, {"label": label, "score": score}, about))
    return path


@pytest.mark.parametrize("suffix", [".npz", ".jsonl", ".parquet"])
def test_every_kind_of_file_is_read_as_it_was_written(tmp_path, suffix):
    table = read_table(written(tmp_path / f"answers{suffix}"), "content", SIGNATURE, "front")
    assert len(table) == 3 and table.places[bytes.fromhex(KEYS[2])] == 2
    assert table.outputs["label"].tolist() == LABELS.tolist() and table.outputs["label"].dtype == np.int64
    assert table.outputs["score"].tolist() == SCORES.tolist() and table.outputs["score"].dtype == np.float32
    assert table.digest.startswith("sha256:") and table.name == f"answers{suffix}"


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(entity="a", label="good", score=(0.5, 0.5)):
    return {"entity": entity, "outputs": {"label": label, "score": list(score)}}


def test_a_file_by_entity_may_be_written_by_hand(tmp_path):
    table = read_table(lines(tmp_path / "a.jsonl", row(), row("b", "bad", (0, 1))), "entity", SIGNATURE, "front")
    assert table.places == {"a": 0, "b": 1} and table.outputs["label"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(), row("b", "ugly")], "row 1.*not an answer"),
        ([row(), row("b", None)], "row 1"),
        ([row(), row("b", score=(0.5, 2.0))], "row 1.*not an answer"), ([row(), row("b", score=(0.5,))], "not an answer"),
        ([row(), row("b", score=(0.5, None))], "not an answer"), ([row(), row("a")], "row 1: the key stands in row 0"),
        ([row(), row("")], "row 1: an entity"), ([row(), row(7)], "row 1: an entity"), ([row(), {"entity": "b"}], "line 2"),
        ([{"entity": "a", "outputs": {"label": "good"}}], "lacks the output 'score'"), ([row(), [1]], "line 2: not an object"),
        ([{"entity": "a", "outputs": {"label": "good", "score": [0, 1], "more": 1}}], "unknown output 'more'"),
        ([{"portside": {"format": 2}}], "another version"), ([{"portside": {"format": 1, "by": "content"}}], "by content"),
        ([], "holds no"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_answer_is_refused(tmp_path, rows, message):
    with pytest.raises(FormatError, match=message):
        read_table(lines(tmp_path / "a.jsonl", *rows), "entity", SIGNATURE, "front")


def test_keys_of_another_front_are_refused_for_none_would_be_found(tmp_path):
    with pytest.raises(FormatError, match="none would be found"):
        read_table(written(tmp_path / "a.npz"), "content", SIGNATURE, "another")
    with pytest.raises(FormatError, match="none would be found"):
        read_table(written(tmp_path / "b.npz", about={}), "content", SIGNATURE, "front")


@pytest.mark.parametrize("name", ["a.npz", "a.parquet", "a.jsonl", "a.csv"])
def test_a_file_that_cannot_be_read_is_a_format_error(tmp_path, name):
    with pytest.raises(FormatError):
        read_table(tmp_path / name, "content", SIGNATURE, "front")
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(FormatError):
        read_table(tmp_path / name, "content", SIGNATURE, "front")


def test_keys_that_are_no_digests_and_columns_of_other_lengths_are_refused(tmp_path):
    with pytest.raises(FormatError, match="row 1: a key by content"):
        read_table(written(tmp_path / "a.npz", keys=[KEYS[0], "zz", KEYS[2]]), "content", SIGNATURE, "front")
    with pytest.raises(FormatError, match="number of rows"):
        read_table(written(tmp_path / "b.npz", keys=KEYS[:2]), "content", SIGNATURE, "front")
    with pytest.raises(FormatError, match="no row of its own"):
        fixed = Signature((), (TensorSpec("label", "i64", (3,), batch_axis=None), SIGNATURE.outputs[1]))
        read_table(written(tmp_path / "c.npz"), "content", fixed, "front")
