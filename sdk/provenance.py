"""Where and with what a package was made: git commit, versions, time. Annotations only: none of it is digested."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LOCKED = (
    "portside", "numpy", "safetensors", "pydantic", "onnx", "onnxruntime", "onnxscript", "torch", "scikit-learn", "skl2onnx",
    "transformers", "tokenizers", "pillow", "pandas", "scipy",
)  # fmt: skip
"""Distributions whose version can change a program or an answer."""


def provenance(folder: Path | None = None) -> dict[str, Any]:
    """Annotation fields: created (UTC), environment (versions), and git (commit, dirty) where `folder` is in a repository.

    Args:
        folder: where to look for a repository; default the working directory.
    """
    made: dict[str, Any] = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "environment": environment()}
    commit = git_state(folder or Path.cwd())
    return made | ({"git": commit} if commit else {})


def environment() -> dict[str, str]:
    """Python, platform and the installed versions of `LOCKED`."""
    found = {"python": platform.python_version(), "platform": f"{sys.platform} {platform.machine()}"}
    for name in LOCKED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """{"commit": ..., "dirty": ...} of the repository around `folder`; None without one, without git, or without a commit."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": changes is None or bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # no git, no repository, no commit, or one too large to ask: a package needs none of them
    return done.stdout.strip()
