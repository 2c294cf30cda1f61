"""What a recipe with several passes made is held against what it began with, by the ladder as by a compile."""

from __future__ import annotations

import json

import pytest

import portside as ps
from portside.compress import rungs, trials
from portside.compress.compressing import LADDER, compressed

RUIN, TRIM = ps.Prune(0.3, steps=1, epochs=0, importance="random", norm_rows=0), ps.Prune(0.6, steps=1, epochs=1)
INT8 = ps.Quantize("int8-static")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Latency is measured briefly: tests do not look at it."""
    monkeypatch.setattr(trials, "REPEATS", 2)
    monkeypatch.setattr(trials, "SECONDS", 0.005)
    monkeypatch.setattr(rungs, "SLOWER", 1000.0)


def test_a_ladder_behind_a_pass_that_ruined_the_network_ends_with_nothing(trainable, parts, tmp_path):
    train, held = parts
    recipe = ps.Recipe([RUIN, INT8], ps.Budget(max_drop=0.03))
    found = compressed(trainable, recipe, train, target="onnx-cpu", held_out=held, out=tmp_path / "small")
    assert [(str(rung.trial.settings), rung.trial.gates[0].verdict) for rung in found.climb.rungs] == [("prune 0.3; float32", "failed")]
    assert found.package is trainable
    assert not (tmp_path / "small").exists()
    assert found.climb.remarks[0] == "what the passes made does not hold, so nothing is kept of it"


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
