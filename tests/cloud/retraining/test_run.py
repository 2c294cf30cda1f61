"""Runs on the disk: one whose file is damaged or leads elsewhere is refused, with what to do."""

import json

import pytest

from portside.cloud.retraining.alone import alone
from portside.cloud.retraining.run import Runs
from portside.cloud.retraining.triggers import Trigger
from portside.sdk.core.errors import FormatError, StoreError


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "retrain")


@pytest.fixture
def run(runs):
    begun = runs.begin("net", 1, triggers=(Trigger("asked", "ana asked for it"),), upstream={"backbone:1": "sha256:ab"})
    return runs.save(begun, stage="training", rows={"train": 3}, pid=7, ticks=9)


def change(runs, run, **values):
    path = runs.place(run) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}))


def test_what_is_saved_is_read_and_unknown_fields_are_left_out(runs, run):
    change(runs, run, later="field")
    assert runs.all() == [run] == [runs.find(run)] and runs.unfinished() == run


@pytest.mark.parametrize(("name", "value"), [
    ("id", "../../.."), ("id", "another"), ("id", None), ("stage", "later"), ("stage", []), ("pid", "7"), ("pid", None), ("rows", []),
    ("rows", {"train": "3"}), ("triggers", {}), ("triggers", [1]), ("began_ms", None), ("began_ms", 1.5), ("ref", 1), ("attempts", "1"),
])  # fmt: skip
def test_a_run_that_cannot_be_one_is_refused(runs, run, name, value):
    change(runs, run, **{name: value})
    with pytest.raises(FormatError, match="Remove its folder"):
        runs.all()


def test_an_id_that_leads_elsewhere_removes_nothing(runs, run, tmp_path):
    other = tmp_path / "mine"
    other.mkdir()
    change(runs, run, id="../../mine", stage="done")
    with pytest.raises(FormatError, match="about another run"):
        runs.forget(0)
    assert other.is_dir()


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff"])
def test_files_that_are_no_such_files(runs, run, text):
    (runs.folder / "upstream.json").write_bytes(text.replace(b"{}", b'{"a": 1}'))
    with pytest.raises(FormatError, match="Remove it"):
        runs.known_upstream()
    (runs.place(run) / "run.json").write_bytes(text)
    with pytest.raises(FormatError, match="Remove its folder"):
        runs.all()


def test_the_lock_is_no_link_and_lies_where_one_may_write(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "lock").symlink_to(kept)
    for folder in (tmp_path / "a", kept / "below"):
        with pytest.raises(StoreError, match="PORTSIDE_HOME"), alone(folder):
            pass
    assert kept.read_text() == "kept"
