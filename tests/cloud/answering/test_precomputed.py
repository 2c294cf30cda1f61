"""Precomputed answers, from the command that makes the file to the receipt of an answer out of it."""

import asyncio
import json
import time

import numpy as np
import packages
import pytest

from portside.cloud.answering.answers import NoAnswerError, Question
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.versions import build
from portside.sdk.cli.main import main
from portside.sdk.core.errors import FormatError

CHAIN = """name = "tester"

[champion]
package = "main"
isolation = "inline"
trust = true

[records]
enabled = false
"""
ENTRY = '[[failover.chain]]\nprecomputed = { file = "%s", by = "%s" }\n'


@pytest.fixture
def folder(tmp_path):
    packages.host_package(tmp_path / "main")
    (tmp_path / "deployment.toml").write_text(CHAIN)
    np.savez(tmp_path / "rows.npz", x=np.array([[1, 0, 0], [-1, 0, 0], [1, 0, 0], [0, 2, 0]], np.float32))
    return tmp_path


@pytest.fixture
def engine(folder):
    made = []

    def build_one(file, by):
        (folder / "deployment.toml").write_text(CHAIN + ENTRY % (file, by))
        made.append(build(resolve(read(folder / "deployment.toml"))))
        return made[-1]

    yield build_one
    for one in made:
        one.close()


def ask(engine, x, entity=None):
    return asyncio.run(engine.answer(Question({"x": x}, time.monotonic(), entity)))


@pytest.mark.parametrize("suffix", ["npz", "jsonl", "parquet"])
def test_the_champions_answers_are_found_by_content_when_it_fails(folder, engine, monkeypatch, capsys, suffix):
    out = folder / f"answers.{suffix}"
    assert main(["precompute", str(folder / "deployment.toml"), str(folder / "rows.npz"), "-o", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["answers"], said["rows"], said["same"], said["flawed"]) == (3, 4, 1, 0)
    served = engine(out.name, "content")
    primary = ask(served, [[1, 0, 0], [0, 2, 0]])
    assert primary.receipt.reason == "primary"
    fault = folder / "fault"
    fault.write_text("throw")
    monkeypatch.setenv("PORTSIDE_FAULT", str(fault))
    kept = ask(served, [[1, 0, 0], [0, 2, 0]])
    assert (kept.receipt.model, kept.receipt.target, kept.receipt.entry) == ("precomputed", "precomputed", 1)
    assert kept.receipt.reason == "failed" and kept.receipt.version.startswith("sha256:") and not kept.receipt.stale
    for name, values in primary.outputs.items():
        assert np.array_equal(kept.outputs[name], values)
    with pytest.raises(NoAnswerError) as caught:
        ask(served, [[1, 0, 0], [9, 9, 9]])  # half an answer is none
    assert caught.value.receipt.attempts == ("0:failed", "1:miss")


def test_answers_are_found_by_entity(folder, engine, monkeypatch):
    (folder / "rows.csv").write_text("who,x\n")
    rows = {"x": [[1, 0, 0], [-1, 0, 0]], "who": ["ann", "bob"]}
    np.savez(folder / "rows.npz", x=np.array(rows["x"], np.float32), who=np.array(rows["who"]))
    out = folder / "answers.jsonl"
    assert main(["precompute", str(folder / "deployment.toml"), str(folder / "rows.npz"), "-o", str(out), "--entity", "who"]) == 0
    served = engine("answers.jsonl", "entity")
    fault = folder / "fault"
    fault.write_text("throw")
    monkeypatch.setenv("PORTSIDE_FAULT", str(fault))
    assert ask(served, [[5, 5, 5]], "bob").outputs["label"].tolist() == ["good"]
    assert ask(served, [[5, 5, 5]], "ann").outputs["label"].tolist() == ["bad"]
    for x, entity in (([[5, 5, 5]], "eve"), ([[5, 5, 5]], None), ([[1, 0, 0], [1, 0, 0]], "ann")):
        with pytest.raises(NoAnswerError):
            ask(served, x, entity)


def test_an_entity_with_two_different_rows_is_refused(folder, capsys):
    np.savez(folder / "rows.npz", x=np.array([[1, 0, 0], [-1, 0, 0]], np.float32), who=np.array(["ann", "ann"]))
    command = ["precompute", str(folder / "deployment.toml"), str(folder / "rows.npz"), "-o", str(folder / "a.npz"), "--entity", "who"]
    assert main(command) != 0
    assert "two rows" in capsys.readouterr().err


def test_a_file_that_does_not_fit_ends_the_start_with_its_place(folder, engine):
    (folder / "bad.jsonl").write_text('{"entity": "a", "outputs": {"label": "good", "score": 0.1}}\n' * 2)
    with pytest.raises(FormatError, match=r"deployment.toml line \d+, \[\[failover.chain\]\] number 1: bad.jsonl, row 1"):
        engine("bad.jsonl", "entity")
    with pytest.raises(FormatError, match=r"number 1: absent\.npz"):
        engine("absent.npz", "entity")
