"""Ctrl-C in the middle of `portside search` and `portside compress`, as a terminal sends it: to the command and its children."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from portside.runtimes import samples

PROGRAM = """
import signal, sys
from portside.compress import trials
trials.REPEATS, trials.SECONDS = 1, 0.002
from portside.sdk.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
SOON = 60
"""Seconds after which a command that was interrupted counts as one that hangs."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a package and rows."""
    sample, made = samples.mixed(), np.random.default_rng(0)
    for name, count in (("rows", 600), ("train", 200)):
        inputs = {"x": made.normal(size=(count, 4)).astype(np.float32), "ids": made.integers(0, 100, count), "on": made.random(count) < 0.5}
        np.savez(tmp_path / f"{name}.npz", label=sample.truth(inputs)["label"], **inputs)
    sample.write(tmp_path / "mixed")
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    return tmp_path


def environment(place: Path) -> Mapping[str, str]:
    return {**os.environ, "TMPDIR": str(place / "tmp"), "PORTSIDE_HOME": str(place / "home"), "OMP_NUM_THREADS": "1"}


def interrupted(place: Path, words: list[str], line: str, after: float = 0.0, times: int = 1) -> Ended:
    """Run a command line until it prints a line that begins so, wait, press Ctrl-C; it and its children must be gone soon."""
    command = [sys.executable, "-c", PROGRAM, *words]
    with subprocess.Popen(command, cwd=place, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:  # fmt: skip
        assert process.stderr is not None
        said: list[str] = []
        try:
            while not (said and said[-1].startswith(line)):
                said.append(process.stderr.readline())
                assert said[-1], "".join(said)
            time.sleep(after)
            for _ in range(times):
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.05)
            out, err = process.communicate(timeout=SOON)
        finally:
            process.kill()
    assert nobody_left(process.pid)
    assert "Traceback" not in err
    return Ended(process.returncode, out, "".join(said) + err)


def nobody_left(group: int) -> bool:
    """Nobody of this session is there any more. One that has just ended stands there until the system has looked after it."""
    ends = time.monotonic() + SOON
    while time.monotonic() < ends:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def leftovers(place: Path) -> list[str]:
    """What stands in the temporary folder, and half-written trials."""
    return [str(path) for path in (*(place / "tmp").iterdir(), *place.glob("kept*/*/.*"))]


SEARCH = ["search", "mixed", "--data", "rows.npz", "--calibration", "train.npz", "--minutes", "1", "--out", "kept"]
COMPRESS = ["compress", "mixed", "int8-static", "train.npz", "--target", "onnx-cpu", "--held-out", "rows.npz", "--out", "small"]


@pytest.mark.slow
def test_a_search_ends_with_what_it_has_and_goes_on(place: Path) -> None:
    ended = interrupted(place, SEARCH, "trial 4:", after=0.1)
    assert ended.code == 130, ended.err
    assert "interrupted: finished trials are kept in kept. Run the same command again" in ended.out
    assert "> best: " in ended.out and "next: portside compile" in ended.out
    assert leftovers(place) == []
    kept = {file: file.read_bytes() for file in (place / "kept" / "trials").iterdir()}
    assert len(kept) >= 3, "how many more is the machine's"
    again = subprocess.run([sys.executable, "-c", PROGRAM, *SEARCH, "--json"], cwd=place, env=environment(place), capture_output=True,
                           text=True, timeout=120, check=False)  # fmt: skip
    assert again.returncode == 0, again.stderr
    first = next(line for line in again.stderr.splitlines() if line.startswith("trial "))
    assert first.startswith(f"trial {len(kept) + 1}:"), "none of the finished ones is made again"
    assert all(file.read_bytes() == held for file, held in kept.items())
    assert len(json.loads(again.stdout)["trials"]) > len(kept)


def test_a_search_without_a_folder_says_what_would_have_kept_it(place: Path) -> None:
    ended = interrupted(place, SEARCH[:-2], "trial 1:")
    assert ended.code == 130, ended.err
    assert "With --out FOLDER finished trials are" in ended.out + ended.err
    assert leftovers(place) == []


def test_a_compress_writes_nothing_and_says_what_keeps_more(place: Path) -> None:
    ended = interrupted(place, COMPRESS, "calibration")
    assert ended.code == 130, ended.err
    assert ended.out == ""
    assert "interrupted: nothing was written" in ended.err and "portside search --out FOLDER" in ended.err
    assert leftovers(place) == []
    assert not (place / "small").exists()


@pytest.mark.chaos
@pytest.mark.slow
def test_at_any_moment_and_pressed_more_than_once(place: Path, effort: int) -> None:
    made, codes = random.Random(0), list[int]()
    for point in range(6 * effort):
        words, line = ([*COMPRESS[:-1], f"small{point}"], "answers") if point % 2 else ([*SEARCH[:-1], f"kept{point}"], "trial")
        ended = interrupted(place, words, line, after=made.random() * 3, times=1 + point % 3 // 2)
        codes.append(ended.code)
        # Pressed while Python itself ends, the signal kills it, which a shell calls 130 too; 0 and 1: it was done before.
        assert ended.code in (130, -signal.SIGINT, 0, 1), f"point {point}: {ended}"
        assert leftovers(place) == [], f"point {point}"
    assert codes.count(130) >= 2 * effort, codes
