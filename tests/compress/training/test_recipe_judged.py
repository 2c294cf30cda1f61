"""What a recipe with several passes made is held against what it began with, by the ladder as by a compile."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portside as ps
from portside.compress import rungs, trials
from portside.compress.compressing import LADDER, compressed
from portside.sdk.cli.main import main

RUIN, TRIM = ps.Prune(0.3, steps=1, epochs=0, importance="random", norm_rows=0), ps.Prune(0.6, steps=1, epochs=1)
INT8 = ps.Quantize("int8-static")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Latency is measured briefly: tests do not look at it."""
    monkeypatch.setattr(trials, "REPEATS", 2)
    monkeypatch.setattr(trials, "SECONDS", 0.005)
    monkeypatch.setattr(rungs, "SLOWER", 1000.0)


@pytest.mark.slow
@pytest.mark.long
def test_a_ladder_behind_a_pass_that_ruined_the_network_ends_with_nothing(trainable, parts, tmp_path):
    train, held = parts
    recipe = ps.Recipe([RUIN, INT8], ps.Budget(max_drop=0.03))
    found = compressed(trainable, recipe, train, target="onnx-cpu", held_out=held, out=tmp_path / "small")
    assert [(str(rung.trial.settings), rung.trial.gates[0].verdict) for rung in found.climb.rungs] == [("prune 0.3; float32", "failed")]
    assert found.package is trainable
    assert not (tmp_path / "small").exists()
    assert found.climb.remarks[0] == "what the passes made does not hold, so nothing is kept of it"


@pytest.mark.slow
@pytest.mark.long
def test_a_ladder_behind_a_pass_measures_against_the_package_as_it_was(trainable, parts, tmp_path):
    train, held = parts
    recipe = ps.Recipe([TRIM, INT8], ps.Budget(max_drop=0.1))
    found = compressed(trainable, recipe, train, target="onnx-cpu", held_out=held, out=tmp_path / "small")
    chosen = found.climb.chosen.trial
    assert chosen.passed
    assert [str(rung.trial.settings).split(", ")[0] for rung in found.climb.rungs] == ["prune 0.6; float32", "prune 0.6; int8-static"]
    assert chosen.figures["size_ratio"] < 0.4
    assert json.loads(found.package.read(LADDER))["chosen"] == chosen.settings.to_dict()
    artifact = ps.compile(found.package, out=tmp_path / "artifact", ancestor=trainable, data=held)
    audited = artifact.verified["audit"]["gates"][0]
    assert audited["measured"] == pytest.approx(chosen.gates[0].measured)


@pytest.mark.parametrize(("step", "words"), [(TRIM, "prune 0.6; float32"), (ps.QAT(epochs=0.5), "qat; int8-static, min-max")], ids=str)
def test_a_recipe_without_quantize_is_measured_once(trainable, parts, tmp_path, step, words):
    train, held = parts
    recipe = ps.Recipe([step], ps.Budget(max_drop=0.1))
    found = compressed(trainable, recipe, train, target="onnx-cpu", held_out=held, out=tmp_path / "made")
    assert [(str(rung.trial.settings), rung.trial.verdict) for rung in found.climb.rungs] == [(words, "passed")]
    chosen = found.climb.chosen.trial
    assert chosen.figures["size_ratio"] < 0.9 and chosen.figures["p50_ms"] > 0
    assert [gate.name for gate in chosen.gates] == ["max_drop"]
    assert json.loads(found.package.read(LADDER)) == found.climb.to_dict()
    artifact = ps.compile(found.package, out=tmp_path / "artifact", ancestor=trainable, data=held)
    assert artifact.verified["audit"]["gates"][0]["measured"] == pytest.approx(chosen.gates[0].measured)


def test_a_result_that_is_slower_or_larger_is_written_and_said(trainable, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(rungs, "SLOWER", 0.0)
    monkeypatch.setattr(rungs, "LARGER", 0.0)
    train, held = parts
    found = compressed(trainable, TRIM, train, target="onnx-cpu", held_out=held, out=tmp_path / "made")
    assert [remark.partition(":")[0] for remark in found.climb.remarks] == ["slower than float", "larger than float"]
    assert found.package.path == tmp_path / "made"


def test_a_result_that_breaks_a_gate_is_not_written_and_the_command_says_so(trainable, parts, tmp_path, capsys):
    for name, rows in zip(("train", "held"), parts, strict=True):
        np.savez(tmp_path / f"{name}.npz", image=rows.inputs["image"], label=rows.labels)
    (tmp_path / "ruin.json").write_text(json.dumps(ps.Recipe([RUIN]).to_dict()))
    line = ["compress", str(trainable.path), str(tmp_path / "ruin.json"), str(tmp_path / "train.npz"), "--out", str(tmp_path / "small"),
            "--trust", "--target", "onnx-cpu", "--held-out", str(tmp_path / "held.npz")]  # fmt: skip
    assert main([*line, "--max-drop", "0.05"]) == 1
    said = capsys.readouterr().out
    assert "prune 0.3; float32: failed" in said and "what the passes made does not hold" in said and "nothing was written" in said
    assert "max_drop" in said and "x latency" in said
    assert not (tmp_path / "small").exists()
    assert main([*line, "--max-flips", "0.0001", "--json"]) in (1, 4)
    assert main([word for word in line if word not in ("--target", "onnx-cpu")]) != 0
    assert "without a target" in capsys.readouterr().err
