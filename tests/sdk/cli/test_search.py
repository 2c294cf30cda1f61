"""`portside search`: exit codes, what is kept, what is printed."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from portside.runtimes import samples
from portside.sdk.opening import open as open_package

pytestmark = pytest.mark.usefixtures("brief_latency")


@pytest.fixture
def asked(tmp_path):
    """The words that every search here starts with: package and 400 rows with labels."""
    sample, random = samples.mixed(), np.random.default_rng(0)
    inputs = {"x": random.normal(size=(400, 4)).astype(np.float32), "ids": random.integers(0, 100, 400), "on": random.random(400) < 0.5}
    np.savez(tmp_path / "rows.npz", label=sample.truth(inputs)["label"], **inputs)
    return ("search", sample.write(tmp_path / "mixed").path, "--data", tmp_path / "rows.npz", "--minutes", 0.02)


def test_within_the_budget_it_names_the_best_and_what_to_do_next(portside, asked, tmp_path):
    said = portside(*asked, "--p95-ms", 500, "--out", tmp_path / "kept", "--html", tmp_path / "front.html")
    assert said.code == 0, said.err
    assert "within the budget" in said.out and "next: portside compile" in said.out
    assert "trial 1: float32" in said.err and "s left; best so far" in said.err
    page = (tmp_path / "front.html").read_text()
    assert "<script" not in page and not re.search("https?:", page.replace("http://www.w3.org", ""))
    assert "--p95-ms 500" in page and "search" in page
    assert list((tmp_path / "kept" / "trials").glob("*.json"))


def test_the_gates_of_the_best_are_shown_kept_and_asked_by_the_command_it_names(portside, asked, tmp_path):
    said = portside(*asked, "--max-flips", 0.3, "--size-mb", 500, "--minutes", 0.05, "--slice", "on")
    assert said.code == 0, said.err
    assert "gate       limit" in said.out and "max_flips  0.3" in said.out
    words = shlex.split(next(line for line in said.out.splitlines() if line.startswith("next: ")))[2:]
    assert words[-4:] == ["--data", str(tmp_path / "rows.npz"), "--slice", "on"]
    recipe = open_package(words[1]).content.recipe
    if recipe:  # else float32 itself won
        assert recipe[-1] == {"kind": "gates", "max_flips": 0.3} and "its gates travel with it" in said.out
    compiled = portside(*words, "--out", tmp_path / "artifact", "--json")
    assert compiled.code == 0, compiled.err
    assert bool(recipe) == ("audit" in compiled.json["verified"])


def test_an_impossible_budget_is_a_no_that_names_the_limit(portside, asked):
    said = portside(*asked, "--size-mb", 1e-6, "--json")
    assert said.code == 1
    assert said.json["binding"]["limit"] == "size_mb" and said.json["package"] is None


def test_too_few_rows_have_a_code_of_their_own(portside, asked):
    said = portside(*asked, "--max-flips", 1e-5)
    assert said.code == 4
    assert "not enough data: max_flips" in said.out


def test_a_limit_that_is_none_and_rows_that_are_missing_are_usage(portside, asked):
    assert portside(*asked, "--p95-ms", -1).code == 2
    said = portside(*asked[:2])
    assert said.code == 2 and "evidence" in said.err


def test_help_teaches(portside):
    said = portside("search", "--help")
    assert said.code == 0
    assert all(word in said.out for word in ("--p95-ms 5", "--out", "Exit codes: 0", "Ctrl-C"))


def test_rows_that_nothing_is_judged_on_need_no_slices_and_errors_name_the_file(portside, asked, tmp_path):
    rows, bare, odd = (tmp_path / f"{name}.npz" for name in ("rows", "bare", "odd"))
    held = dict(np.load(rows))
    np.savez(rows, site=np.arange(400) % 2, **held)
    np.savez(bare, **held)
    np.savez(odd, colour=np.arange(400), **held)
    said = portside(*asked, "--slice", "site", "--calibration", bare, "--json")
    assert said.code == 0, said.err
    assert {"site=0", "site=1"} == set(said.json["trials"][0]["comparison"]["slices"])
    said = portside(*asked, "--slice", "site", "--slice", "shift", "--calibration", bare)
    assert said.code == 2 and f"{rows} has no such column to slice by" in said.err and "shift" in said.err
    said = portside(*asked, "--slice", "site", "--calibration", odd)
    assert said.code == 2 and f"A column of {odd} is neither" in said.err


def test_structures_are_refused_before_any_work_where_they_cannot_be(portside, asked, tmp_path):
    rows = tmp_path / "rows.npz"
    said = portside(*asked, "--structures", "auto", "--max-drop", 0.1)
    assert said.code == 2 and "learn from rows" in said.err and "trial 1" not in said.err
    said = portside(*asked, "--structures", "auto", "--train", rows)
    assert said.code == 2 and "limit on quality" in said.err
    said = portside(*asked, "--structures", "auto", "--train", rows, "--max-drop", 0.1)
    assert said.code == 1 and "no structure" in said.err
    (tmp_path / "bad.toml").write_text('[[pass]]\nkind = "shrink"\n')
    said = portside(*asked, "--structures", tmp_path / "bad.toml", "--train", rows, "--max-drop", 0.1)
    assert said.code == 2 and "no such pass" in said.err
