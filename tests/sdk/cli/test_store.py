"""`portside store` and `portside inspect` on a real store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portside.sdk.cli.store import ACTIONS
from portside.sdk.core.package import Package

Run = Callable[..., Any]


def test_push_ls_tag_lineage_pull(portside: Run, package: Package, tmp_path: Path) -> None:
    assert portside("store", "push", package.path, "--json").json == {"reference": "sums:1", "digest": package.digest}
    assert portside("store", "push", package.path).out.startswith("reference  sums:1\n")
    assert portside("store", "tag", "sums:1", "prod").code == 0
    assert "prod" in portside("store", "ls").out.splitlines()[1]
    (held,) = portside("store", "ls", "--json").json
    assert held["ref"] == "sums:1"
    assert portside("store", "lineage", "sums:prod").out.splitlines()[1].split()[1] == "sums:1"
    said = portside("store", "pull", "sums:prod", "--out", tmp_path / "here", "--json")
    assert said.json["digest"] == package.digest
    assert (tmp_path / "here" / "manifest.json").is_file()


def test_an_empty_store_lists_nothing(portside: Run) -> None:
    said = portside("store", "ls")
    assert (said.code, said.out.strip()) == (0, "")
    assert "nothing is stored" in said.err
    assert portside("store", "ls", "--json").json == []


def test_another_store(portside: Run, package: Package, tmp_path: Path) -> None:
    portside("store", "push", package.path, "--store", tmp_path / "other", "--name", "renamed")
    assert portside("store", "ls", "--json").json == []
    assert portside("store", "ls", "--store", tmp_path / "other", "--json").json[0]["ref"] == "renamed:1"


def test_gc_and_fsck(portside: Run, package: Package, home: Path) -> None:
    portside("store", "push", package.path)
    assert portside("store", "gc").out.startswith("removed ")
    assert portside("store", "fsck").code == 0
    blob = max((home / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    said = portside("store", "fsck", "--json")
    assert said.code == 1
    assert any(blob.name in problem["where"] for problem in said.json)


@pytest.mark.parametrize("words", [["pull", "nothing:1"], ["tag", "nothing", "prod"], ["lineage", "nothing"]])
def test_what_is_not_there_is_a_fault(words: list[str], portside: Run) -> None:
    said = portside("store", *words)
    assert said.code == 3
    assert "nothing" in said.err


def test_inspect_a_folder_and_a_name(portside: Run, package: Package) -> None:
    portside("store", "push", package.path)
    said = portside("inspect", package.path)
    assert package.digest in said.out
    assert "in   x      f32    (batch, 2)  mm" in said.out
    assert "64 rows (label: decision, score: value), shareable" in said.out
    assert "owner     ana" in said.out
    assert portside("inspect", "sums:1", "--json").json["digest"] == package.digest


def test_inspect_an_artifact_shows_no_raw_data(portside: Run, package: Package, tmp_path: Path) -> None:
    assert portside("compile", package.path, "--out", tmp_path / "artifact").code == 0
    said = portside("inspect", tmp_path / "artifact")
    assert "built versions   portside " in said.out and not set("{}[]") & set(said.out)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_teaches_by_example(action: str, portside: Run) -> None:
    said = portside("store", action, "--help")
    assert said.code == 0 and f"portside store {action}" in said.out.split("example:")[1]
