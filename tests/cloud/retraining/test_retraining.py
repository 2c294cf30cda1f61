"""Retraining: a trigger becomes a candidate with its lineage and its gates; whatever fails changes nothing; a killed run is taken up."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from released import MINUTE, NOW, served
from trained import champion, retraining

from portside.cloud.releasing import benching
from portside.cloud.releasing.evidence import find_dataset
from portside.cloud.retraining.run import Runs
from portside.cloud.retraining.training import ticks_of
from portside.runtimes import costs
from portside.sdk.core.errors import EngineError, FormatError, InputError, StoreError
from portside.sdk.opening import open as open_package
from portside.sdk.store import Store

LATER = NOW + 700 * MINUTE


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Latency is measured, but not for long."""
    monkeypatch.setattr(benching, "SECONDS", 0.005)
    monkeypatch.setattr(costs, "SECONDS", 0.001)


def test_labels_make_a_better_candidate_whose_lineage_says_how(tmp_path):
    served(tmp_path, 600)
    held = retraining(tmp_path, now_ms=LATER)
    done = held.retrain()
    assert done.due and done.run.stage == "done" and done.run.verdict == "passed" and done.run.ref == "main:2"
    made = open_package("main:candidate", trust=True)
    assert made.digest == done.run.candidate == Store().resolve("main:2")
    assert made.content.parents == (champion().digest,)
    assert made.content.recipe == ({"kind": "retrain", "dataset": done.run.dataset, "weights": "new"},)
    assert made.manifest.annotations.fields["retrained"]["why"] == ["600 labels came since, 200 ask for it"]
    recent, rows = done.gates["recent"].figures, done.run.rows
    assert recent["rows"] == rows["test"] > 0 and recent["trained_on"] == rows["train"] + rows["validation"]
    assert done.gates["static"].figures["changes"]["accuracy"]["drop"]["value"] < -0.1
    assert find_dataset(held.deployment, done.run.dataset).manifest["outputs"] == ["label"]
    assert "portside rollout start" in done.run.why and held.retrain().due.verdict == "not due"


@pytest.mark.slow
@pytest.mark.long
def test_what_fails_changes_nothing_and_says_why_in_its_last_words(tmp_path):
    served(tmp_path, 300)
    held = retraining(tmp_path, now_ms=LATER)
    before = Store().ls()
    for fault, kind, words in (("code", EngineError, "no such column: brightness"), ("nothing", FormatError, "left no package"),
                               ("champion", InputError, "the champion's own program")):  # fmt: skip
        (tmp_path / "fault").write_text(fault)
        with pytest.raises(kind, match=words):
            retraining(tmp_path, "on_labels = 200\ncooldown_hours = 0", LATER).retrain()
    assert Store().ls() == before and [run.stage for run in held.runs.all()] == ["failed"] * 3
    assert "training: The training command ended with code 7" in held.runs.all()[-1].why
    (tmp_path / "fault").unlink()
    assert held.due().verdict == "waits"
    assert retraining(tmp_path, "on_labels = 200", LATER + 25 * 60 * MINUTE).retrain().run.stage == "done"


@pytest.mark.slow
@pytest.mark.long
def test_a_command_that_cannot_be_started_or_takes_too_long_is_an_error(tmp_path):
    served(tmp_path, 300)
    with pytest.raises(FormatError, match="cannot be started"):
        retraining(tmp_path, "cooldown_hours = 0\non_labels = 5", LATER, command='["no-such-program"]').retrain()
    (tmp_path / "fault").write_text("wait")
    with pytest.raises(EngineError, match=r"took longer than 0\.05 minutes"):
        retraining(tmp_path, "cooldown_hours = 0\non_labels = 5\ntimeout_minutes = 0.05", LATER).retrain()
    assert ticks_of(int((tmp_path / "waiting").read_text())) == 0  # its process is gone


@pytest.mark.slow
@pytest.mark.long
def test_one_that_does_not_pass_its_gates_is_kept_and_never_handed_over(tmp_path):
    served(tmp_path, 600)
    (tmp_path / "fault").write_text("worse")
    held = retraining(tmp_path, 'on_labels = 200\nweights = "champion"', LATER)
    done = held.retrain()
    assert done.run.stage == "done" and done.run.verdict == "failed" and "did not pass its gates" in done.run.why
    assert "weights: champion" in (held.runs.place(done.run) / "log.txt").read_text()
    assert open_package("main:2", trust=True).content.recipe[-1]["weights"] == "champion"
    assert Store().resolve("main:2") == done.run.candidate
    with pytest.raises(StoreError):
        Store().resolve("main:candidate")


@pytest.mark.slow
@pytest.mark.long
def test_two_at_once_are_one(tmp_path):
    served(tmp_path, 300)
    (tmp_path / "fault").write_text("wait")
    retraining(tmp_path)
    process = _apart(tmp_path)
    try:
        _until(lambda: (tmp_path / "waiting").exists() and (tmp_path / "waiting").read_text())
        with pytest.raises(StoreError, match=f"process {process.pid}"):
            retraining(tmp_path, now_ms=LATER).retrain()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert retraining(tmp_path).runs.unfinished().stage == "training"


@pytest.mark.slow
def test_a_killed_run_is_taken_up_and_its_command_ended(tmp_path):
    served(tmp_path, 600)
    (tmp_path / "fault").write_text("wait")
    retraining(tmp_path)
    process = _apart(tmp_path)
    _until(lambda: (tmp_path / "waiting").exists() and (tmp_path / "waiting").read_text())
    left = int((tmp_path / "waiting").read_text())
    process.kill()
    process.wait()
    assert ticks_of(left)
    (tmp_path / "fault").unlink()
    held = retraining(tmp_path, now_ms=LATER)
    run = held.runs.unfinished()
    assert run.stage == "training" and (run.pid, run.ticks) == (left, ticks_of(left))
    done = held.retrain()
    assert done.resumed and done.run.id == run.id and done.run.attempts == 2 and done.run.verdict == "passed" and not ticks_of(left)
    assert "checkpoints: 1" in (held.runs.place(run) / "log.txt").read_text()
    assert [version.ref for version in Store().ls("main")] == ["main:1", "main:2"]


def test_before_anything_was_served_nothing_is_due(tmp_path):
    held = retraining(tmp_path, now_ms=LATER)
    assert held.due().verdict == "not due" and held.retrain().run is None
    assert held.due("ana").verdict == "not enough data"


def test_given_up_is_failed_and_the_next_begins_anew(tmp_path):
    served(tmp_path, 300)
    held = retraining(tmp_path, now_ms=LATER)
    run = held.runs.begin("tester", LATER - 1, champion=champion().digest)
    assert held.give_up().stage == "failed" and held.runs.unfinished() is None
    with pytest.raises(InputError, match="No run was left"):
        held.give_up()
    assert held.runs.past().began_ms == run.began_ms and held.runs.past().done_ms is None


@pytest.mark.slow
@pytest.mark.long
def test_a_champion_that_changed_meanwhile_stops_the_run(tmp_path):
    served(tmp_path, 300)
    held = retraining(tmp_path, now_ms=LATER)
    held.runs.begin("tester", LATER - 1, champion="sha256:" + "0" * 64)
    with pytest.raises(InputError, match="another one than when this run began"):
        held.retrain()
    assert held.runs.unfinished() is None


def test_only_so_many_runs_are_kept(tmp_path):
    runs = Runs(tmp_path)
    made = [runs.save(runs.begin("tester", place), stage="failed") for place in range(5)]
    runs.forget(2)
    assert [run.id for run in runs.all()] == [made[4].id, made[3].id]
    assert json.loads((runs.place(made[4]) / "run.json").read_text())["stage"] == "failed"


def _apart(folder: Path) -> subprocess.Popen:
    """Retraining in a process of its own, at a time when it is due."""
    code = ("import sys\nfrom portside.cloud.deployment.file import read\nfrom portside.cloud.retraining.retraining import Retraining\n"
            f"Retraining(read({str(folder / 'deployment.toml')!r}), clock=lambda: {LATER}).retrain()\n")  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ), stderr=subprocess.DEVNULL)


def _until(true) -> None:
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_name_that_no_store_takes_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    served(tmp_path, 300)
    held = retraining(tmp_path, now_ms=LATER)
    monkeypatch.setattr(held, "_name", lambda package: "Main Model")
    with pytest.raises(StoreError, match="not a name that a store takes"):
        held.retrain()
    assert held.runs.all() == []


def test_a_full_disk_is_an_error_and_the_run_goes_on_afterwards(tmp_path, monkeypatch):
    served(tmp_path, 300)
    held = retraining(tmp_path, now_ms=LATER)

    def full(run):
        raise OSError(errno.ENOSPC, "No space left on device", "gates.json")

    with monkeypatch.context() as patched, pytest.raises(StoreError, match="No space left on device"):
        patched.setattr(held, "_gates", full)
        held.retrain()
    (held.runs.place(held.runs.unfinished()) / "gates.json").write_text("[]")
    with pytest.raises(FormatError, match="--give-up"):
        held.gates_of(held.runs.unfinished())
    done = held.retrain()
    assert done.resumed and done.run.verdict == "passed" and done.gates
