"""Which browser is taken, and what is said where there is none."""

from __future__ import annotations

import pytest

from portside.runtimes.web.find_chromium import find, missing
from portside.sdk.core import errors


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without any browser."""
    monkeypatch.delenv("PORTSIDE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(path):
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_first(bare, monkeypatch):
    program(bare / "bin" / "chromium")
    monkeypatch.setenv("PORTSIDE_CHROMIUM", str(program(bare / "mine")))
    assert find() == bare / "mine"


def test_then_the_path(bare):
    program(bare / "bin" / "google-chrome")
    assert find() == bare / "bin" / "google-chrome"
    program(bare / "bin" / "chromium")
    assert find() == bare / "bin" / "chromium"


def test_then_playwrights_own(bare):
    (bare / "playwright" / "chromium-1234").mkdir(parents=True)
    assert find() is None
    assert missing() is None


def test_without_any_the_message_names_what_to_install(bare):
    with pytest.raises(errors.UnsupportedError, match=r"apt-get install chromium.*PORTSIDE_CHROMIUM"):
        find()
    assert "Chromium to prove bundles in" in missing() and "apt-get install chromium" in missing().fix


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")], ids=["absent", "folder", "file"]
)
def test_a_variable_that_names_no_program_is_refused(bare, monkeypatch, make):
    make(bare / "mine")
    monkeypatch.setenv("PORTSIDE_CHROMIUM", str(bare / "mine"))
    with pytest.raises(errors.UnsupportedError, match="names no program"):
        find()
