"""Every vector of docs/codec.md through the JavaScript codec: in node, but for JPEG, and in Chromium."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))
from vector_runs import in_node, in_page  # noqa: E402

FILES = sorted((ROOT / "tests/vectors/codec").glob("*.json"))
NATIVE = {"image_jpeg.json"}


def test_node_passes_every_vector_that_needs_no_browser(node: str) -> None:
    results = in_node(node, [path for path in FILES if path.name not in NATIVE])
    assert len(results) == len(FILES) - len(NATIVE) >= 16
    assert all(result["cases"] > 0 for result in results.values())
    assert [failure for result in results.values() for failure in result["failures"]] == []


def test_node_refuses_what_only_a_browser_decodes(node: str) -> None:
    (result,) = in_node(node, [ROOT / "tests/vectors/codec/image_jpeg.json"]).values()
    assert "this kind of image is not supported" in result["failures"][0]


@pytest.mark.browser
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_chromium_passes_every_vector(page: Any, serve: Callable[[Path], str], path: Path) -> None:
    result = in_page(page, serve(ROOT), path.name, json.loads(path.read_text(encoding="utf-8")))
    assert result["cases"] > 0
    assert result["failures"] == []


def test_the_tables_of_characters_are_those_of_the_reference() -> None:
    path = ROOT / "tests/vectors/make_codec_tables.py"
    spec = importlib.util.spec_from_file_location("make_codec_tables", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.OUT.read_text(encoding="utf-8") == module.text()


def test_values_that_callers_hand_over(node: str) -> None:
    done = subprocess.run([node, str(HERE / "codec_values.mjs")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["checked"] >= 45 and result["wrong"] == []
