"""The direction of imports, file by file: no file imports from a layer above its own, and no files import in a circle.

root face, sdk/cli, sdk/pack -> edge | cloud -> compress -> runtimes -> sdk/store, sdk/signing, sdk/card -> sdk/core
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("sdk", "runtimes", "compress", "edge", "cloud")

LAYERS = (
    ("sdk/core/",),
    ("sdk/",),  # store, signing, card and what else stands on core; pack and cli, named below, are the roof
    ("runtimes/",),
    ("compress/",),
    ("edge/", "cloud/"),
    ("sdk/pack", "sdk/cli/", "__init__.py", "__main__.py"),
)
APART = (("edge/", "cloud/"),)

# Heavy packages, and the only places that may import them: a light install, and a light start, depend on it.
ONLY_IN = {
    "torch": ("runtimes/importers/", "compress/"),
    "sklearn": ("runtimes/importers/",),
    "skl2onnx": ("runtimes/importers/",),
    "onnxscript": ("runtimes/importers/",),
    "onnx": ("runtimes/", "compress/"),
    "onnxruntime": ("runtimes/", "compress/"),
    "bentoml": ("cloud/",),
    "PIL": ("sdk/core/codec/image.py",),
    "pandas": (),
    "tuf": ("sdk/signing/", "edge/"),
    "cryptography": ("sdk/signing/",),
}


def sources() -> list[str]:
    """Every Python file of the package, relative to the root."""
    inner = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.py"), *inner])


def layer(file: str) -> int:
    """The floor a file stands on; packages' own empty `__init__.py` files are below everything."""
    if file.endswith("/__init__.py"):
        return -1
    matches = {prefix: floor for floor, prefixes in enumerate(LAYERS) for prefix in prefixes if file.startswith(prefix)}
    assert matches, f"{file} stands on no layer: name it in LAYERS"
    return matches[max(matches, key=len)]


def module_file(parts: tuple[str, ...]) -> str | None:
    """The file of the module with these name parts below `portside`, if there is one."""
    for candidate in ("/".join(parts) + ".py", "/".join((*parts, "__init__.py"))):
        if (ROOT / candidate).is_file():
            return candidate
    return None


@cache
def imports(file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(files of ours, top-level names of others) that a file imports anywhere in it, type-checking blocks included."""
    package = Path(file).parent.parts
    ours: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                found = module_file((*base, alias.name)) or module_file(base)
                assert found, f"{file}:{node.lineno} imports what is not there: {'.'.join(base)}.{alias.name}"
                ours.add(found)
    return tuple(sorted(ours)), tuple(sorted(others))


@pytest.mark.parametrize("file", sources())
def test_imports_point_down(file: str) -> None:
    ours, _ = imports(file)
    upward = [target for target in ours if layer(target) > layer(file)]
    assert not upward, f"{file} imports from above: {upward}"
    for pair in APART:
        for one, other in (pair, pair[::-1]):
            assert not (file.startswith(one) and any(target.startswith(other) for target in ours)), f"{one} and {other} never meet"


@pytest.mark.parametrize("file", sources())
def test_heavy_imports_stay_in_their_place(file: str) -> None:
    _, others = imports(file)
    assert "portside" not in others, "inside the package imports are relative"
    misplaced = [name for name in others if name in ONLY_IN and not file.startswith(tuple(ONLY_IN[name]))]
    assert not misplaced, f"{file} imports {misplaced}"


def test_no_import_cycles() -> None:
    graph = {file: set(imports(file)[0]) - {file} for file in sources() if file != "__init__.py"}
    for targets in graph.values():
        targets.discard("__init__.py")  # the root face is lazy: its names are resolved at first use
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_sub_packages_have_empty_inits() -> None:
    filled = [file for file in sources() if file.endswith("/__init__.py") and (ROOT / file).read_text().strip()]
    assert filled == [
        "compress/__init__.py",  # a module that can be called: the public function has the folder's name
        "edge/__init__.py",  # the public face of a device, which loads nothing until it is used
    ]


def test_compress_is_a_function_and_a_folder_whichever_is_imported_first() -> None:
    for first in ("import portside.compress.settings", "portside.compress"):
        code = f"import portside; {first}; import portside.compress.settings as held; assert callable(portside.compress); print(held)"
        subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_says_what_it_is() -> None:
    silent = [
        file
        for file in sources()
        if not file.endswith("/__init__.py") and not ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    ]
    assert not silent
