"""The documentation holds: links lead somewhere, Python blocks run, commands and public names exist.

A fenced block marked `python` is run, in order with the others of its page and in an empty folder; `py` is shown and not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import portside
from portside.sdk.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
NAMED = re.compile(r"\bps\.([A-Za-z]\w*)")
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?portside ([a-z]+)", re.MULTILINE)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in filter(None, (part for found in LINK.findall(prose) for part in found)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_public_names_exist(page: Path) -> None:
    unknown = {command for text in blocks(page, "sh", "bash", "console") for command in COMMAND.findall(text)} - set(COMMANDS)
    assert not unknown, f"{name(page)} shows portside {unknown}"
    named = {found for text in blocks(page, "python", "py") for found in NAMED.findall(text)}
    assert named <= set(portside.__all__) | {"__version__"}, f"{name(page)} uses names that are not public"


LENGTHY = {"audit.md", "concepts.md", "packing.md", "recipes.md", "search.md", "verification.md"}
"""Pages whose snippets train, compress or search: with the slow suite, and all of them with `make docs`."""
LENGTHIEST = {"audit.md", "packing.md", "recipes.md", "search.md"}
"""The ones that CI leaves to `make docs` and `make soak`."""


def marks(page: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] * (page.name in LENGTHY) + [pytest.mark.long] * (page.name in LENGTHIEST)


WITH_SNIPPETS = [pytest.param(page, marks=marks(page)) for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name)
def test_snippets_run(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "snippets.py"
    script.write_text("\n\n".join(blocks(page, "python")), encoding="utf-8")
    environment = {**os.environ, "PORTSIDE_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, f"{name(page)}:\n{done.stdout}\n{done.stderr}"


def test_the_quickstart_is_twenty_lines() -> None:
    (quickstart,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in quickstart.splitlines() if line.strip()]) <= 20
