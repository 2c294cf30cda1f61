"""The repository root is the package: what ships, what is loaded from where, and what the public face promises."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import portside
from portside.sdk.core import errors

ROOT = Path(__file__).resolve().parent.parent
WHEEL_FILES = ROOT / "tests" / "wheel_files.txt"
FOLDERS = ("sdk", "runtimes", "compress", "edge", "cloud")


def test_only_two_python_files_at_the_root() -> None:
    assert {path.name for path in ROOT.glob("*.py")} <= {"__init__.py", "__main__.py"}


def test_every_folder_with_code_is_a_listed_package() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert listed == {"portside", *(".".join(("portside", *folder.parts)) for folder in folders)}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)


def test_no_module_is_loaded_twice(tmp_path: Path) -> None:
    """Import every module of ours, from a folder elsewhere: none may appear under a second name."""
    script = """
import importlib, pkgutil, sys, portside
for found in pkgutil.walk_packages(portside.__path__, "portside."):
    if found.name.split(".")[1] in sys.argv[2].split(",") and found.name != "portside.cloud.served":  # serves when imported
        importlib.import_module(found.name)
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
folders = tuple(f"{sys.argv[1]}/{folder}/" for folder in sys.argv[2].split(","))
print([name for name, file in files.items() if file.startswith(folders) and not name.startswith("portside.")])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(ROOT), ",".join(FOLDERS)], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_what_tests_share_has_a_name_of_its_own() -> None:
    """Their folders, and those of examples and benchmarks, stand on one path: of two modules with one name a test would get the other's."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if not path.name.startswith("test_") and path.name not in ("conftest.py", "__init__.py"):
            found.setdefault(path.name, []).append(path.relative_to(ROOT).as_posix())
    for path in [*(ROOT / "examples").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        if path.name in found:
            found[path.name].append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_the_wheel_holds_the_listed_files(tmp_path: Path) -> None:
    """Build the wheel from the files that git knows. After adding a module: PORTSIDE_UPDATE=1 pytest tests/test_package_layout.py"""
    found = wheel_files(build_wheel(tmp_path))
    if os.environ.get("PORTSIDE_UPDATE"):
        WHEEL_FILES.write_text("\n".join(found) + "\n")
    assert found == WHEEL_FILES.read_text().split()
    assert not [name for name in found if name.startswith(("portside/tests", "portside/examples", "portside/benchmarks", "portside/docs"))]


def test_the_error_tree_is_short() -> None:
    kinds = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.PortsideError)]
    assert len(kinds) - 1 <= 10
    assert all(kind.__doc__ for kind in kinds)


def test_public_names_exist_and_are_documented() -> None:
    names = getattr(portside, "__all__", ())
    assert names, "the root face lists its names"
    values = {name: getattr(portside, name) for name in names}
    assert set(names) <= set(dir(portside))
    undocumented = [name for name, value in values.items() if callable(value) and not inspect.getdoc(value)]
    assert not undocumented


def build_wheel(folder: Path) -> Path:
    """The wheel of the working tree, built from a copy so that neither `build/` nor ignored files can slip in, but for the
    browser's engine: `make` puts it there, and it goes into the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    engine = [path.relative_to(ROOT).as_posix() for path in (ROOT / "edge/browser/engine/ort").glob("*")]
    assert engine, "the browser's engine is not here. Run: make engine"
    for name in (*filter(None, listed.stdout.split("\0")), *engine):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "examples/")):
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "tree" / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    subprocess.run(command, cwd=folder / "tree", check=True, capture_output=True, timeout=200)
    (wheel,) = folder.glob("portside-*.whl")
    return wheel


def wheel_files(wheel: Path) -> list[str]:
    """Names in a wheel, with the version left out."""
    version = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name.replace(version, "VERSION") for name in archive.namelist())
