"""Packages of every format version so far open, answer and verify, and each is built the same anywhere."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.runtimes.verify import verify
from portside.sdk.core.errors import IntegrityError
from portside.sdk.core.format_version import FORMAT_VERSION, READABLE
from portside.sdk.core.package import open_folder
from portside.sdk.opening import open as open_package
from portside.sdk.store import Store

HERE = Path(__file__).parent
DIGESTS = {
    1: "sha256:80f02dc29c831d3c574ebe06658fa86054b08294376b1beeaead0fa76ef39ccd",
    2: "sha256:8c0b1215238794fcbb1b400de0dba50a67a6ac83b103a6eee6a536f375d3f6a8",
}
PROGRAMS = {
    1: "sha256:fe5940691aa7fb56c24c017b4da93a8b26f7000c94f85c592fe06f2ec128542d",
    2: "sha256:66d526041d5e598716cab6da0c05adbf076d10820ca9c7589ee4bb036140672c",
}
TARGETS = {1: "onnx-cpu", 2: "tflite"}
KINDS = {1: ["graph", "trees", "graph"], 2: ["native"]}
MAKERS = {1: "make_golden.py", 2: "make_native.py"}
FILES = {1: 7, 2: 4}


def made(version: int) -> dict[str, Any]:
    return runpy.run_path(str(HERE / MAKERS[version]))


def test_there_is_a_golden_package_of_every_version() -> None:
    assert sorted(DIGESTS) == sorted(READABLE)
    assert max(READABLE) == FORMAT_VERSION
    assert sorted(path.name for path in HERE.glob("v*")) == [f"v{version}" for version in sorted(READABLE)]


@pytest.mark.parametrize("version", READABLE)
def test_a_golden_package_opens_under_its_digest(version: int) -> None:
    package = open_package(HERE / f"v{version}", digest=DIGESTS[version])
    assert package.content.program_digest == PROGRAMS[version]
    assert package.manifest.to_json() == (HERE / f"v{version}/manifest.json").read_text(encoding="utf-8")
    assert package.manifest.format == version
    assert [stage.kind for stage in package.content.stages] == KINDS[version]
    assert package.read("annotations/note.txt").startswith(b"An annotation")


@pytest.mark.parametrize("version", READABLE)
def test_a_golden_package_verifies(version: int) -> None:
    report = verify(open_package(HERE / f"v{version}"), targets=TARGETS[version])
    assert report, str(report)


def test_version_1_answers_as_it_always_did() -> None:
    package, maker = open_package(HERE / "v1"), made(1)
    rows = maker["wire"]()
    expected = maker["answers"](rows)
    found = package.predict(rows)
    np.testing.assert_array_equal(found["score"], expected["score"])
    assert found["label"].tolist() == [("fine", "cracked")[code] for code in expected["label"]]
    assert len(set(found["score"].tolist())) > 5 and set(found["label"].tolist()) == {"fine", "cracked"}


def test_version_2_answers_frame_by_frame_as_it_always_did() -> None:
    package, maker = open_package(HERE / "v2"), made(2)
    state: dict[str, Any] = {}
    for frame, expected in zip(maker["frames"](), maker["answers"](), strict=True):
        found = package.predict({"frame": frame[None], **state})
        np.testing.assert_array_equal(found["answer"], expected["answer"])
        np.testing.assert_array_equal(found["held_next"], expected["held_next"])
        state = {"held": found["held_next"]}
    np.testing.assert_array_equal(package.predict({"frame": frame[None]})["answer"], (frame[None] + 0.5) / 2)  # pyright: ignore[reportPossiblyUnboundVariable]


@pytest.mark.parametrize("version", READABLE)
def test_a_golden_package_goes_through_a_store(version: int, home: Path) -> None:
    store = Store()
    assert store.push(open_package(HERE / f"v{version}")) == "golden:1"
    assert store.path == home
    assert open_package(f"golden@{DIGESTS[version]}").digest == DIGESTS[version]


@pytest.mark.parametrize("version", READABLE)
def test_every_byte_of_a_golden_package_is_guarded(version: int, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(HERE / f"v{version}", copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != "manifest.json")
    assert len(files) == FILES[version]
    for path in files:
        data = path.read_bytes()
        for place in range(0, len(data), 97):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
            with pytest.raises(IntegrityError, match=path.name):
                open_folder(copy)
        path.write_bytes(data)
    assert open_folder(copy).digest == DIGESTS[version]


@pytest.mark.parametrize("version", READABLE)
def test_two_builds_in_two_places_are_one_package(version: int, tmp_path: Path) -> None:
    places = (("a", "UTC", "1"), ("b/c", "Asia/Tokyo", "2"))
    digests = [_build(version, tmp_path / name, {"TZ": zone, "PYTHONHASHSEED": seed}) for name, zone, seed in places]
    assert digests[0] == digests[1]
    texts = [(tmp_path / name / "golden/manifest.json").read_text() for name in ("a", "b/c")]
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]
    assert json.loads(texts[0])["format"] == version


def _build(version: int, folder: Path, variables: dict[str, str]) -> str:
    folder.mkdir(parents=True)
    command = [sys.executable, str(HERE / MAKERS[version]), "golden"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True, capture_output=True, text=True)
    return done.stdout.strip()
