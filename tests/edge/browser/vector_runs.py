"""Vectors run by the JavaScript codec, in node and in a page."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
_IN_PAGE = """async ([root, name, text]) => {
  const { check } = await import(`${root}/tests/edge/browser/vectors.mjs`);
  return check(name, JSON.parse(text));
}"""


def in_node(node: str, paths: list[Path]) -> dict[str, Any]:
    """File name -> {cases, failures, largest}."""
    done = subprocess.run([node, str(HERE / "run_vectors.mjs"), *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def in_page(page: Any, root: str, name: str, data: Any) -> dict[str, Any]:
    """{cases, failures, largest} of one file's content; `root` is the URL of a server of the repository."""
    page.goto(f"{root}/tests/edge/browser/blank.html")
    return page.evaluate(_IN_PAGE, [root, name, json.dumps(data)])
