"""A runtime of somebody else plugs in with one file and one line of its own pyproject.toml, and is a target like any other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from portside.runtimes import checks, samples

FOLDER = Path(__file__).resolve().parent.parent / "fakes" / "paper_target"


@pytest.fixture(scope="module")
def paper():
    """The class, loaded from its file."""
    spec = spec_from_file_location("paper_target", FOLDER / "paper_target.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Paper


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Its package, built and installed by pip into a folder of its own."""
    tree, target = tmp_path_factory.mktemp("tree") / "paper", tmp_path_factory.mktemp("site")
    shutil.copytree(FOLDER, tree, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(tree)]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    return target


def portside(site, *words):
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "portside", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("check", checks.ALL, ids=str)
def test_it_conforms(check, paper, tmp_path):
    check(paper, tmp_path)


@pytest.mark.slow
def test_it_is_listed_compiled_verified_and_measured_without_a_line_of_ours(installed, tmp_path):
    package = samples.mixed().write(tmp_path / "mixed")
    assert "paper" in portside(installed, "doctor").stdout
    done = portside(installed, "verify", package.path, "--targets", "paper,onnx-cpu", "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert [target["target"] for target in report["targets"]] == ["paper", "onnx-cpu"]
    assert all(target["verdict"] == "passed" and target["timings"]["cold_start_ms"] > 0 for target in report["targets"])
    assert report["targets"][0]["weights_bytes"] == report["targets"][1]["weights_bytes"] != {}


def test_without_it_the_target_is_unknown_and_the_known_ones_are_named(tmp_path):
    package = samples.mixed().write(tmp_path / "mixed")
    done = portside(tmp_path, "verify", package.path, "--targets", "paper")
    assert done.returncode != 0 and "onnx-cpu" in done.stdout + done.stderr
