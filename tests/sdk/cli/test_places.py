"""A page's file is looked at before the work that it shows."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError

import pytest

from portside.sdk.cli.places import page_file


def test_a_file_that_can_be_written_is_taken_as_it_is_named(tmp_path):
    (tmp_path / "there.html").write_text("old")
    for word in (tmp_path / "there.html", tmp_path / "new" / "deeper" / "page.html"):
        assert page_file(str(word)) == str(word)
    assert not (tmp_path / "new").exists()


def test_folders_and_files_in_the_way_are_refused(tmp_path, portside):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentTypeError, match="is a folder"):
        page_file(str(tmp_path))
    with pytest.raises(ArgumentTypeError, match="is no folder"):
        page_file(str(tmp_path / "file" / "page.html"))
    said = portside("verify", "nothing", "--html", str(tmp_path))
    assert said.code == 2 and "is a folder" in said.err


def test_a_read_only_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ArgumentTypeError, match="read-only"):
        page_file(str(tmp_path / "page.html"))
