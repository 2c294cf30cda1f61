"""Temporary folders are gone at the end, also where Ctrl-C comes while they are removed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from portside.sdk.core import temporary
from portside.sdk.core.temporary import temporary_folder


def test_it_is_there_inside_and_gone_afterwards(tmp_path):
    with pytest.raises(ValueError, match="inside"), temporary_folder("some-", tmp_path) as folder:
        (folder / "file").write_text("x")
        assert folder.parent == tmp_path and folder.name.startswith("some-")
        raise ValueError("inside")
    assert list(tmp_path.iterdir()) == []


def test_pressed_while_it_is_removed_it_is_removed_and_the_interrupt_goes_on(tmp_path, monkeypatch):
    real, presses = shutil.rmtree, 0

    def pressed(path, ignore_errors=False):
        nonlocal presses
        presses += 1
        if presses <= 3:
            raise KeyboardInterrupt
        real(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(temporary.shutil, "rmtree", pressed)
    with pytest.raises(KeyboardInterrupt), temporary_folder("some-", tmp_path) as folder:
        (folder / "file").write_text("x")
    assert presses == 4 and list(tmp_path.iterdir()) == []


ENDS = """
import sys
from pathlib import Path
from portside.sdk.core.temporary import temporary_folder
held = temporary_folder("left-", Path(sys.argv[1]))
(held.__enter__() / "file").write_text("x")
"""


def test_what_was_never_left_goes_when_python_ends(tmp_path: Path):
    subprocess.run([sys.executable, "-c", ENDS, str(tmp_path)], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
