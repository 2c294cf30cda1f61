"""Packages of every format version so far open, answer and verify; and the newest is built the same anywhere."""

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
DIGESTS = {1: "sha256:80f02dc29c831d3c574ebe06658fa86054b08294376b1beeaead0fa76ef39ccd"}
PROGRAMS = {1: "sha256:fe5940691aa7fb56c24c017b4da93a8b26f7000c94f85c592fe06f2ec128542d"}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "make_golden.py"))


def test_there_is_a_golden_package_of_every_version() -> None:
    assert sorted(DIGESTS) == sorted(READABLE)
    assert max(READABLE) == FORMAT_VERSION
    assert sorted(path.name for path in HERE.glob("v*")) == [f"v{version}" for version in sorted(READABLE)]


@pytest.mark.parametrize("version", READABLE)
def test_a_golden_package_opens_under_its_digest(version: int) -> None:
    package = open_package(HERE / f"v{version}", digest=DIGESTS[version])
    assert package.content.program_digest == PROGRAMS[version]
    assert package.manifest.to_json() == (HERE / f"v{version}/manifest.json").read_text(encoding="utf-8")
    assert [stage.kind for stage in package.content.stages] == ["graph", "trees", "graph"]
    assert package.read("annotations/note.txt").startswith(b"An annotation")


@pytest.mark.parametrize("version", READABLE)
def test_a_golden_package_answers_as_it_always_did(version: int, made: dict[str, Any]) -> None:
    package = open_package(HERE / f"v{version}")
    rows = made["wire"]()
    expected = made["answers"](rows)
    found = package.predict(rows)
    np.testing.assert_array_equal(found["score"], expected["score"])
    assert found["label"].tolist() == [("fine", "cracked")[code] for code in expected["label"]]
    assert len(set(found["score"].tolist())) > 5 and set(found["label"].tolist()) == {"fine", "cracked"}
    report = verify(package)
    assert report, str(report)


@pytest.mark.parametrize("version", READABLE)
def test_a_golden_package_goes_through_a_store(version: int, home: Path) -> None:
    store = Store()
    assert store.push(open_package(HERE / f"v{version}")) == "golden:1"
    assert store.path == home
    assert open_package(f"golden@{DIGESTS[version]}").digest == DIGESTS[version]


def test_every_byte_of_a_golden_package_is_guarded(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(HERE / "v1", copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != "manifest.json")
    assert len(files) == 7
    for path in files:
        data = path.read_bytes()
        for place in range(0, len(data), 97):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
            with pytest.raises(IntegrityError, match=path.name):
                open_folder(copy)
        path.write_bytes(data)
    assert open_folder(copy).digest == DIGESTS[1]


def test_two_builds_in_two_places_are_one_package(tmp_path: Path) -> None:
    places = (("a", "UTC", "1"), ("b/c", "Asia/Tokyo", "2"))
    digests = [_build(tmp_path / name, {"TZ": zone, "PYTHONHASHSEED": seed}) for name, zone, seed in places]
    assert digests[0] == digests[1]
    texts = [(tmp_path / name / "golden/manifest.json").read_text() for name in ("a", "b/c")]
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]
    assert json.loads(texts[0])["format"] == FORMAT_VERSION


def _build(folder: Path, variables: dict[str, str]) -> str:
    folder.mkdir(parents=True)
    command = [sys.executable, str(HERE / "make_golden.py"), "golden"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True, capture_output=True, text=True)
    return done.stdout.strip()
