"""A slice that the mean hides: a network pruned on rows without eights, judged where eights are few, stopped by the gate on slices."""

from __future__ import annotations

import numpy as np
import pytest

import portside as ps
from portside.sdk.cli.main import main
from portside.sdk.core.errors import ContractError

NARROWER = ps.Prune(0.3, steps=1, epochs=2, round_to=4)
MEAN = ps.Budget(max_drop=0.1)
SLICES = ps.Budget(max_drop=0.1, max_slice_drop=0.2)


@pytest.fixture(scope="module")
def rows(parts):
    """(to prune on, to judge on): 1,200 digits less their eights, 597 digits less all but 36 of theirs."""
    train, held = parts
    more = np.flatnonzero(np.asarray(held.labels) == 8)[36:]
    return train.take(np.flatnonzero(np.asarray(train.labels) != 8)), held.take(np.setdiff1d(np.arange(len(held)), more))


def pruned(package, data, gates, out):
    return ps.compress(package, ps.Recipe([NARROWER], gates=gates), data, out=out)


@pytest.fixture(scope="module")
def narrower(trainable, rows, tmp_path_factory):
    return pruned(trainable, rows[0], MEAN, tmp_path_factory.mktemp("narrower") / "made")


def test_the_mean_holds_and_the_gate_on_slices_does_not(trainable, narrower, rows) -> None:
    found = ps.audit(narrower, trainable, rows[1], gates=SLICES)
    assert [(gate.name, gate.verdict) for gate in found.gates] == [("max_drop", "passed"), ("max_slice_drop", "failed")]
    drops = {name: changes["accuracy"].drop.value for name, changes in found.slices.items() if changes}
    assert next(iter(drops)) == "digit=8"
    assert drops["digit=8"] > 0.5
    assert max(drop for name, drop in drops.items() if name != "digit=8") < 0.1
    assert found.changes["accuracy"].drop.value < 0.08


def test_a_compile_stops_by_the_gate_that_travels_and_by_no_other(trainable, narrower, rows, tmp_path) -> None:
    learn, held = rows
    artifact = ps.compile(narrower, out=tmp_path / "mean", ancestor=trainable, data=held)
    assert artifact.verified["audit"]["verdict"] == "passed"
    made = pruned(trainable, learn, SLICES, tmp_path / "gated")
    with pytest.raises(ContractError) as stopped:
        ps.compile(made, out=tmp_path / "slices", ancestor=trainable, data=held)
    assert [gate.name for gate in stopped.value.report.gates if gate.verdict == "failed"] == ["max_slice_drop"]
    assert "digit=8" in str(stopped.value.report)
    assert not (tmp_path / "slices").exists()


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--max-slice-drop", "0.2"), 1)])
def test_the_command_says_so(trainable, narrower, rows, tmp_path, capsys, words, code) -> None:
    held = rows[1]
    np.savez(tmp_path / "held.npz", image=held.inputs["image"], label=held.labels, digit=held.slices["digit"])
    line = ["audit", str(narrower.path), str(trainable.path), "--data", str(tmp_path / "held.npz"), "--slice", "digit", "--max-drop", "0.1"]
    assert main([*line, *words]) == code
    assert "digit=8" in capsys.readouterr().out
