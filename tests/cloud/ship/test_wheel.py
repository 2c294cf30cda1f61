"""The wheel that is written is the one that a build makes, and what it needs is pinned to what is installed."""

import base64
import csv
import hashlib
import subprocess
import sys
import zipfile
from importlib.metadata import metadata, version
from pathlib import Path

import pytest

from portside.cloud.ship import wheel as of
from portside.cloud.ship.requirements import pinned
from portside.cloud.ship.wheel import write_wheel

LISTED = Path(__file__).parents[2] / "wheel_files.txt"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return write_wheel(tmp_path_factory.mktemp("wheel"))


def test_it_holds_the_files_that_a_build_puts_in(wheel):
    if not (of.ROOT / "pyproject.toml").is_file():
        pytest.skip("this Portside is not a checkout")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = set(LISTED.read_text().split())
    tracked = {name for name in listed if (of.ROOT / name.removeprefix("portside/")).is_file()}
    assert tracked <= names and all(name.startswith("portside/") and "__pycache__" not in name for name in names)
    assert not any(part in name for name in names for part in ("/tests/", "/examples/", "/benchmarks/", "/docs/"))


def test_its_record_is_of_its_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        record = next(name for name in archive.namelist() if name.endswith("RECORD"))
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert {row[0] for row in rows} == set(archive.namelist())
        for name, digest, size in rows:
            if name != record:
                data = archive.read(name)
                assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert int(size) == len(data)


def test_the_same_files_make_the_same_bytes(wheel, tmp_path):
    assert write_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_it_installs_and_can_be_shipped_again(wheel, tmp_path):
    """From the install, without the checkout, the wheel is the same but for how its own texts are told."""
    place, again = tmp_path / "site", tmp_path / "again"
    again.mkdir()
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(place)]
    line.append(str(wheel))
    subprocess.run(line, check=True, capture_output=True)
    code = (f"import sys; sys.path.insert(0, {str(place)!r})\nimport portside\nassert portside.__file__.startswith({str(place)!r})\n"
            f"from pathlib import Path\nfrom portside.cloud.ship.wheel import write_wheel\nwrite_wheel(Path({str(again)!r}))")  # fmt: skip
    subprocess.run([sys.executable, "-B", "-c", code], check=True, cwd=tmp_path)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(next(again.iterdir())) as second:
        ours = {name for name in first.namelist() if ".dist-info/" not in name}
        assert ours == {name for name in second.namelist() if ".dist-info/" not in name}
        assert all(first.read(name) == second.read(name) for name in ours)


def test_requirements_are_whole_and_pinned():
    lines = pinned(["onnx-cpu"])
    names = {line.split("==")[0] for line in lines}
    assert {"bentoml", "numpy", "onnxruntime", "uvicorn", "starlette", "pydantic-core"} <= names
    assert {"portside", "torch", "pytest"}.isdisjoint(names) and lines == sorted(lines)
    assert f"numpy=={version('numpy')}" in lines
    assert set(pinned(["onnx-cpu"])) < set(pinned(["onnx-cpu", "tflite"]))
    assert pinned(["onnx-cpu", ".npz"]) == lines
    if "parquet" in (metadata("portside").get_all("Provides-Extra") or ()):  # not so in an install of before
        assert any(line.startswith("pyarrow==") for line in pinned(["onnx-cpu", ".parquet"]))
