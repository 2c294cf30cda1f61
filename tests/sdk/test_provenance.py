"""Where a package was made: a commit and whether it was clean, versions, a time; nothing where there is nothing."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from portside.sdk.core.canonical import canonical_json
from portside.sdk.provenance import git_state, provenance


def git(folder: Path, *arguments: str) -> str:
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, env={**os.environ, **names})
    return done.stdout.strip()


def test_a_repository_gives_its_commit_and_whether_it_is_clean(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None  # no commit yet
    (tmp_path / "train.py").write_text("1")
    git(tmp_path, "add", "."), git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("x")
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "train.py").write_text("2")
    assert provenance(tmp_path)["git"] == {"commit": commit, "dirty": True}


def test_without_a_repository_or_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "git" not in provenance(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(__file__).parent) is None


def test_versions_and_time_are_json(tmp_path: Path) -> None:
    made = provenance(tmp_path)
    assert made["environment"]["numpy"] == np.__version__
    assert "not-installed" not in made["environment"]
    assert datetime.fromisoformat(made["created"]).tzinfo is not None
    assert canonical_json(made)
