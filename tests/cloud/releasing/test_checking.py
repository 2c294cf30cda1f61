"""Release gates: a challenger that is as good passes, and each way of being worse is stopped by the gate that is about it, with figures."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from packages import SIGNATURE
from released import EQUAL, MINUTE, NOW, WORSE, deployment, evidence, made, served

from portside.cloud.deployment.file import read
from portside.cloud.releasing import benching
from portside.cloud.releasing.checking import check
from portside.cloud.releasing.gates import NAMES, ReleaseGates
from portside.sdk.core.errors import FormatError, StoreError
from portside.sdk.core.expectations import FILE, Perturbation, to_bytes
from portside.sdk.core.manifest import Annotations
from portside.sdk.core.package import open_folder, write

NOW_MS = NOW + 700 * MINUTE


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Latency is measured, but not for long."""
    monkeypatch.setattr(benching, "SECONDS", 0.005)


def pair(folder, challenger=EQUAL, more="", champion=None, **content):
    made(folder, "main", **({"evidence": evidence()} if champion is None else champion))
    made(folder, "next", challenger, **content)
    return deployment(folder, more=more)


def test_a_challenger_that_is_as_good_passes_every_gate_that_was_asked(tmp_path):
    served(tmp_path, 600)
    found = check(pair(tmp_path), now_ms=NOW_MS)
    assert [gate.name for gate in found.gates] == list(NAMES) and found.name == "next"
    outcomes = {gate.name: gate.outcome for gate in found.gates}
    assert outcomes == {"signature": "passed", "card": "passed", "fidelity": "passed", "static": "passed", "recent": "passed",
                        "expectations": "not asked", "bench": "not asked"}  # fmt: skip
    assert found and found.verdict == "passed" and not found.stopping
    assert found["static"].figures["rows"] == 400 and found["recent"].figures["rows"] == 600
    assert "accuracy 0.9" in found["static"].why and found["bench"].figures["p99_ms"] > 0
    assert ReleaseGates.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_one_that_is_worse_is_stopped_by_both_gates_on_quality(tmp_path):
    served(tmp_path, 600)
    found = check(pair(tmp_path, WORSE, "\n[gates]\nmax_slice_drop = 0.05\nmax_flips = 0.1\n"), now_ms=NOW_MS)
    assert found.verdict == "failed" and [gate.name for gate in found.stopping] == ["static", "recent"]
    assert {gate.name for gate in found["static"].limits if gate.verdict == "failed"} == {"max_drop", "max_slice_drop", "max_flips"}
    change = found["recent"].figures["changes"]["accuracy"]
    assert change["before"]["value"] == 1.0 and change["after"]["value"] < 0.8 and change["drop"]["low"] > 0.01


@pytest.mark.slow
@pytest.mark.long
def test_a_gate_that_is_left_out_is_not_asked_and_says_so(tmp_path):
    served(tmp_path, 600)
    found = check(pair(tmp_path, WORSE, "\n[gates]\nleave_out = [\"static\", \"expectations\", \"bench\"]\n"), now_ms=NOW_MS)
    assert [(gate.name, gate.why) for gate in found.gates if gate.outcome == "not asked"] == [
        (name, "[gates] leaves it out") for name in ("static", "expectations", "bench")]  # fmt: skip
    assert [gate.name for gate in found.stopping] == ["recent"]


@pytest.mark.slow
def test_too_few_labels_are_not_enough_data_and_stop_only_where_they_must_be_proven(tmp_path):
    served(tmp_path, 50)
    free = check(pair(tmp_path), now_ms=NOW_MS)
    assert free["recent"].outcome == "not enough data" and free.verdict == "passed"
    strict = check(deployment(tmp_path, more="\n[gates]\nunproven = []\n"), now_ms=NOW_MS)
    assert strict.verdict == "not enough data" and [gate.name for gate in strict.stopping] == ["recent"] and not strict


@pytest.mark.slow
@pytest.mark.long
def test_without_records_or_a_static_set_it_says_so(tmp_path):
    found = check(pair(tmp_path, champion={}), now_ms=NOW_MS)
    assert found["recent"].why == "nothing was served yet, so nothing is labelled"
    assert found["static"].outcome == "not enough data" and "evidence" in found["static"].why
    assert found.verdict == "not enough data"


@pytest.mark.slow
@pytest.mark.long
def test_an_old_label_is_not_recent(tmp_path):
    served(tmp_path, 400)
    found = check(pair(tmp_path), now_ms=NOW + 40 * 24 * 60 * MINUTE)
    assert found["recent"].outcome == "not enough data" and found["recent"].why == "no row of the last 30 days is labelled"


@pytest.mark.slow
def test_the_answers_of_a_shadow_are_no_recent_rows(tmp_path):
    served(tmp_path, 400)
    served(tmp_path, 300, seed=6, arm="shadow", exposed=False, parent="x")
    assert check(pair(tmp_path), now_ms=NOW_MS)["recent"].figures["labelled"] == 400


def test_an_artifact_that_does_not_answer_as_its_package_fails_fidelity_and_nothing_else_is_asked(tmp_path):
    dep = pair(tmp_path)
    broken = (tmp_path / "next" / "host" / "00-answer.py").read_bytes().replace(b"score > 0.5", b"score < 0.5")
    _rewritten(tmp_path, "broken", {"host/00-answer.py": broken})
    found = check(deployment(tmp_path, "broken"), now_ms=NOW_MS)
    assert found.verdict == "failed" and found["fidelity"].outcome == "failed" and found["static"].outcome == "not asked"
    assert check(dep, now_ms=NOW_MS)["fidelity"].outcome == "passed"


@pytest.mark.slow
@pytest.mark.long
def test_a_card_that_is_silent_where_something_must_be_said_stops(tmp_path):
    found = check(pair(tmp_path, more="\n[gates]\ncard = [\"contract\", \"licence\", \"owner\", \"lineage\"]\n"), now_ms=NOW_MS)
    assert found["card"].outcome == "failed" and found["card"].why == "the card lacks owner, lineage"
    more = "\n[gates]\ncard = [\"owner\", \"lineage\"]\n"
    said = pair(tmp_path / "b", more=more, noted={"owner": "ana"}, parents=("sha256:" + "1" * 64,))
    assert check(said, now_ms=NOW_MS)["card"].outcome == "passed"


@pytest.mark.slow
def test_a_budget_that_it_does_not_fit_stops_with_what_was_measured(tmp_path):
    more = "\n[gates]\np95_ms = 0.000001\nsize_mb = 100.0\nslower = 1000.0\nmemory_mb = 10000.0\n"
    found = check(pair(tmp_path, more=more), now_ms=NOW_MS)["bench"]
    assert found.outcome == "failed" and {gate.name: gate.verdict for gate in found.limits} == {
        "p95_ms": "failed", "size_mb": "passed", "slower": "passed", "memory_mb": "passed"}  # fmt: skip
    assert found.figures["p95_ms"] > 0.000001 and found.figures["memory_mb"] > 0


@pytest.mark.slow
def test_the_deadline_is_the_budget_where_no_other_is_stated(tmp_path):
    found = check(pair(tmp_path, more="\n[failover]\ndeadline_ms = 30000\n"), now_ms=NOW_MS)["bench"]
    assert [(gate.name, gate.limit, gate.verdict) for gate in found.limits] == [("p99_ms", 30000, "passed")]


@pytest.mark.slow
@pytest.mark.long
def test_a_successor_does_not_shed_its_champions_expectations(tmp_path):
    pair(tmp_path)
    _rewritten(tmp_path, "main", {FILE: to_bytes((Perturbation(3.0, at_most=0.01),))}, evidence=evidence())
    found = check(deployment(tmp_path), now_ms=NOW_MS)
    assert found["expectations"].outcome == "failed" and "noise of 3" in found["expectations"].why
    assert found.verdict == "failed"


@pytest.mark.slow
def test_an_answer_in_other_words_fails_the_signature(tmp_path):
    turned = replace(SIGNATURE, outputs=(replace(SIGNATURE.outputs[0], categories=("bad", "good")), *SIGNATURE.outputs[1:]))
    found = check(pair(tmp_path, signature=turned), now_ms=NOW_MS)
    assert found["signature"].outcome == "failed" and "the backup's output 'label' is not like the champion's" in found["signature"].why
    assert found.verdict == "failed"


@pytest.mark.slow
def test_rows_that_it_was_trained_on_prove_nothing(tmp_path):
    step = {"kind": "retrain", "dataset": "sha256:" + "2" * 64}
    served(tmp_path, 600)
    found = check(pair(tmp_path, recipe=(step,)), now_ms=NOW_MS)
    assert found["recent"].outcome == "not enough data" and "is not here" in found["recent"].why


@pytest.mark.slow
def test_what_cannot_be_asked_at_all_is_an_error(tmp_path):
    pair(tmp_path)
    with pytest.raises(StoreError):
        check(deployment(tmp_path, "nowhere"))
    (tmp_path / "deployment.toml").write_text('name = "tester"\n[champion]\npackage = "main"\ntrust = true\n')
    with pytest.raises(FormatError, match="names no challenger"):
        check(read(tmp_path / "deployment.toml"))


def _rewritten(folder, name, files, **content):
    """The package "next" with other files, under another name."""
    held = open_folder(folder / ("main" if name == "main" else "next"), trust=True)
    kept = {path: held.read(path) for path in held.content.files} | files
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    return write(replace(held.content, files={}, **content), kept, folder / name, Annotations(name, {"licence": "MIT"}), trusted=True)


@pytest.mark.slow
def test_figures_are_json(tmp_path):
    served(tmp_path, 40)
    found = check(pair(tmp_path), now_ms=NOW_MS)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["verdict"] == found.verdict
    assert len(found.rows()) == len(NAMES) and np.all([len(line) == 4 for line in found.rows()])
