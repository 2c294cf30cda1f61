"""Staging folders: one rename or nothing, and what a killed process left goes with the next write to the same place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portside.sdk.core.staging import YOUNG_S, staging, sweep

HOLDS = """
import sys, time
from pathlib import Path
from portside.sdk.core.staging import staging
with staging(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    print(folder, flush=True)
    time.sleep(60)
"""


def aged(folder: Path) -> Path:
    """The folder, as if it had been made long ago."""
    then = time.time() - 10 * YOUNG_S
    os.utime(folder, (then, then))
    return folder


@pytest.fixture
def other(tmp_path: Path):
    """A process that stages the same place, and its folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, aged(Path(process.stdout.readline().strip()))
    process.kill()
    process.wait()
    process.stdout.close()


def test_it_is_renamed_or_gone(tmp_path: Path) -> None:
    with staging(tmp_path / "out") as folder:
        (folder / "file").write_text("whole")
        folder.rename(tmp_path / "out")
    with pytest.raises(ValueError, match="no"), staging(tmp_path / "never") as folder:
        raise ValueError("no")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, other) -> None:
    process, folder = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / "half").exists()
    with staging(tmp_path / "out"):
        assert not folder.exists()


def test_what_a_living_process_writes_stays(tmp_path: Path, other) -> None:
    _, folder = other
    with staging(tmp_path / "out"):
        assert (folder / "half").exists()


def test_folders_of_others_young_ones_and_links_stay(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in (".out.backup", ".other.portside-x", ".out.portside-young")]
    for folder in kept:
        folder.mkdir()
    link = tmp_path / ".out.portside-link"
    link.symlink_to(aged(kept[0]))
    aged(kept[1])
    sweep(tmp_path / "out")
    assert all(folder.exists() for folder in (*kept, link))
